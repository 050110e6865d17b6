//! Values of the plain evaluator.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::Rc;

use kompira::lang::ast::{ArithmeticOp, CompareOp};

/// Integers that floats hold exactly.
const EXACT: i128 = 1 << 53;
/// Longer texts and arrays are not compared.
const LENGTH_MAX: usize = 4_000;
/// Deeper values are not compared.
const DEPTH_MAX: usize = 40;

#[derive(Clone, Debug)]
pub(in crate::lang) enum V {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Rc<str>),
    Array(Rc<RefCell<Vec<Self>>>),
    Dict(Rc<RefCell<Vec<(Self, Self)>>>),
}

pub(in crate::lang) enum Stop {
    Raise(String),
    /// Outside of what is compared.
    Skip,
}

pub(super) fn fail<T>(message: String) -> Result<T, Stop> {
    Err(Stop::Raise(message))
}

impl From<&str> for V {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl V {
    pub(super) fn text(text: String) -> Result<Self, Stop> {
        if text.len() > LENGTH_MAX { Err(Stop::Skip) } else { Ok(Self::Text(text.into())) }
    }

    pub(super) fn array(items: Vec<Self>) -> Result<Self, Stop> {
        if items.len() > LENGTH_MAX {
            return Err(Stop::Skip);
        }
        Ok(Self::Array(Rc::new(RefCell::new(items))))
    }

    pub(super) fn dict(entries: Vec<(Self, Self)>) -> Self {
        Self::Dict(Rc::new(RefCell::new(entries)))
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "Null",
            Self::Bool(_) => "Boolean",
            Self::Int(_) => "Integer",
            Self::Float(_) => "Float",
            Self::Text(_) => "String",
            Self::Array(_) => "Array",
            Self::Dict(_) => "Dictionary",
        }
    }

    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Array(items) => !items.borrow().is_empty(),
            Self::Dict(entries) => !entries.borrow().is_empty(),
        }
    }

    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.chars().count()),
            Self::Array(items) => Some(items.borrow().len()),
            Self::Dict(entries) => Some(entries.borrow().len()),
            _ => None,
        }
    }

    /// What `for` goes through: a snapshot.
    pub(super) fn elements(&self) -> Result<Vec<Self>, Stop> {
        match self {
            Self::Int(count) if *count > 1_000 => Err(Stop::Skip),
            Self::Int(count) => Ok((0..*count).map(Self::Int).collect()),
            Self::Text(text) => Ok(text.chars().map(|c| c.to_string().as_str().into()).collect()),
            Self::Array(items) => Ok(items.borrow().clone()),
            Self::Dict(entries) => {
                Ok(entries.borrow().iter().map(|entry| entry.0.clone()).collect())
            }
            other => fail(format!("'{}' is not iterable", other.kind())),
        }
    }

    pub(super) fn set_attribute(&self, name: &str, value: Self) -> Result<(), Stop> {
        match self {
            Self::Dict(_) => self.set_index(name.into(), value),
            _ => fail(format!("attribute not found: {name}")),
        }
    }

    pub(super) fn set_index(&self, at: Self, value: Self) -> Result<(), Stop> {
        match self {
            Self::Array(items) => {
                let place = place(items.borrow().len(), &at)?;
                items.borrow_mut()[place] = value;
                Ok(())
            }
            Self::Dict(entries) => {
                let mut entries = entries.borrow_mut();
                match find(&entries, &at)? {
                    Some(place) => entries[place].1 = value,
                    None => entries.push((at, value)),
                }
                Ok(())
            }
            other => fail(format!("'{}' is not subscriptable", other.kind())),
        }
    }

    pub(super) fn attribute(&self, name: &str) -> Result<Self, Stop> {
        if let Self::Dict(entries) = self
            && let Some((_, value)) = entries
                .borrow()
                .iter()
                .find(|(key, _)| matches!(key, Self::Text(key) if **key == *name))
        {
            return Ok(value.clone());
        }
        fail(format!("attribute not found: {name}"))
    }

    pub(super) fn method(&self, name: &str, given: &[Self]) -> Result<Self, Stop> {
        match (self, name, given.len()) {
            (Self::Array(items), "add_item", 1) => items.borrow_mut().push(given[0].clone()),
            (Self::Array(items), "pop_item" | "del_item", 0 | 1) => {
                let at = given.first().cloned().unwrap_or(Self::Int(-1));
                if !matches!(at, Self::Int(_)) {
                    return Err(Stop::Skip);
                }
                let place = place(items.borrow().len(), &at)?;
                let gone = items.borrow_mut().remove(place);
                if name == "pop_item" {
                    return Ok(gone);
                }
            }
            (Self::Dict(entries), "get_keys", 0) => {
                return Self::array(entries.borrow().iter().map(|entry| entry.0.clone()).collect());
            }
            (Self::Dict(entries), "get_item", 1) => {
                let entries = entries.borrow();
                return Ok(
                    find(&entries, &given[0])?.map_or(Self::Null, |at| entries[at].1.clone())
                );
            }
            (Self::Dict(entries), "pop_item", 2) => {
                let mut entries = entries.borrow_mut();
                let found = find(&entries, &given[0])?;
                return Ok(found.map_or_else(|| given[1].clone(), |at| entries.remove(at).1));
            }
            (Self::Array(_) | Self::Dict(_), ..) => return Err(Stop::Skip),
            _ => return fail(format!("attribute not found: {name}")),
        }
        Ok(Self::Null)
    }
}

fn place(length: usize, at: &V) -> Result<usize, Stop> {
    let V::Int(at) = at else {
        return fail(format!("array index cannot be '{}'", at.kind()));
    };
    let place = if *at < 0 { at + length as i128 } else { *at };
    match usize::try_from(place) {
        Ok(place) if place < length => Ok(place),
        _ => fail(format!("array index out of range: {at}")),
    }
}

fn find(entries: &[(V, V)], key: &V) -> Result<Option<usize>, Stop> {
    if matches!(key, V::Array(_) | V::Dict(_)) {
        return Err(Stop::Skip);
    }
    for (place, (other, _)) in entries.iter().enumerate() {
        if equal(other, key)? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

pub(super) fn index(of: &V, at: &V) -> Result<V, Stop> {
    match of {
        V::Array(items) => {
            let place = place(items.borrow().len(), at)?;
            Ok(items.borrow()[place].clone())
        }
        V::Dict(entries) => match find(&entries.borrow(), at)? {
            Some(place) => Ok(entries.borrow()[place].1.clone()),
            None => fail(format!("key not found: {}", text(at)?)),
        },
        other => fail(format!("'{}' is not subscriptable", other.kind())),
    }
}

fn order_numbers(left: &V, right: &V) -> Result<Option<Ordering>, Stop> {
    let exact =
        |number: &i128| if number.abs() < EXACT { Ok(*number as f64) } else { Err(Stop::Skip) };
    Ok(match (left, right) {
        (V::Int(a), V::Int(b)) => Some(a.cmp(b)),
        (V::Float(a), V::Float(b)) => a.partial_cmp(b),
        (V::Int(a), V::Float(b)) => exact(a)?.partial_cmp(b),
        (V::Float(a), V::Int(b)) => a.partial_cmp(&exact(b)?),
        _ => None,
    })
}

pub(super) fn equal(left: &V, right: &V) -> Result<bool, Stop> {
    equal_at(left, right, 0)
}

fn equal_at(left: &V, right: &V, depth: usize) -> Result<bool, Stop> {
    if depth > DEPTH_MAX {
        return Err(Stop::Skip);
    }
    Ok(match (left, right) {
        (V::Null, V::Null) => true,
        (V::Bool(a), V::Bool(b)) => a == b,
        (V::Text(a), V::Text(b)) => a == b,
        (V::Int(_) | V::Float(_), V::Int(_) | V::Float(_)) => {
            order_numbers(left, right)? == Some(Ordering::Equal)
        }
        (V::Array(a), V::Array(b)) => {
            let (a, b) = (a.borrow(), b.borrow());
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal_at(a, b, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        (V::Dict(a), V::Dict(b)) => {
            let (a, b) = (a.borrow(), b.borrow());
            if a.len() != b.len() {
                return Ok(false);
            }
            for ((key, value), (other_key, other)) in a.iter().zip(b.iter()) {
                if !equal_at(key, other_key, depth + 1)? || !equal_at(value, other, depth + 1)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => false,
    })
}

fn operands<T>(operator: &str, left: &V, right: &V) -> Result<T, Stop> {
    let (left, right) = (left.kind(), right.kind());
    fail(format!(
        "Failed to execute binary operation: unsupported operand type(s) for {operator}: '{left}' and '{right}'"
    ))
}

pub(super) fn compare(operator: CompareOp, left: &V, right: &V) -> Result<bool, Stop> {
    match operator {
        CompareOp::Equal => return equal(left, right),
        CompareOp::NotEqual => return Ok(!equal(left, right)?),
        CompareOp::Similar | CompareOp::NotSimilar => return Err(Stop::Skip),
        _ => {}
    }
    let Some(order) = order(left, right, 0)? else { return operands(operator.text(), left, right) };
    Ok(match (operator, order) {
        // Not a number is neither.
        (_, None) => false,
        (CompareOp::Less, Some(order)) => order.is_lt(),
        (CompareOp::Greater, Some(order)) => order.is_gt(),
        (CompareOp::LessEqual, Some(order)) => order.is_le(),
        (_, Some(order)) => order.is_ge(),
    })
}

/// The outer `None`: they have no order.
fn order(left: &V, right: &V, depth: usize) -> Result<Option<Option<Ordering>>, Stop> {
    if depth > DEPTH_MAX {
        return Err(Stop::Skip);
    }
    Ok(match (left, right) {
        (V::Int(_) | V::Float(_), V::Int(_) | V::Float(_)) => Some(order_numbers(left, right)?),
        (V::Text(a), V::Text(b)) => Some(Some(a.chars().cmp(b.chars()))),
        (V::Array(a), V::Array(b)) => {
            let (a, b) = (a.borrow(), b.borrow());
            for (a, b) in a.iter().zip(b.iter()) {
                if !equal(a, b)? {
                    return match order(a, b, depth + 1)? {
                        // Whose types are named is not laid down.
                        None => Err(Stop::Skip),
                        found => Ok(found),
                    };
                }
            }
            Some(Some(a.len().cmp(&b.len())))
        }
        _ => None,
    })
}

pub(super) fn contains(holder: &V, value: &V) -> Result<bool, Stop> {
    match (holder, value) {
        (V::Array(items), _) => {
            for item in items.borrow().iter() {
                if equal(item, value)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (V::Text(text), V::Text(part)) => Ok(text.contains(&**part)),
        (V::Dict(entries), _) => Ok(find(&entries.borrow(), value)?.is_some()),
        _ => operands("in", value, holder),
    }
}

fn checked(number: Option<i128>) -> Result<V, Stop> {
    number.filter(|number| number.abs() < 1 << 100).map(V::Int).ok_or(Stop::Skip)
}

pub(super) fn arithmetic(operator: ArithmeticOp, left: V, right: V) -> Result<V, Stop> {
    use ArithmeticOp::{Add, Divide, Multiply, Remainder, Subtract};
    match (operator, &left, &right) {
        (Add, V::Text(a), V::Text(b)) => V::text(format!("{a}{b}")),
        (Add, V::Array(a), V::Array(b)) => {
            V::array(a.borrow().iter().chain(b.borrow().iter()).cloned().collect())
        }
        (Multiply, V::Text(text), V::Int(count)) | (Multiply, V::Int(count), V::Text(text)) => {
            let count = usize::try_from((*count).max(0)).map_err(|_| Stop::Skip)?;
            if text.len().saturating_mul(count) > LENGTH_MAX {
                return Err(Stop::Skip);
            }
            V::text(text.repeat(count))
        }
        (Multiply, V::Array(items), V::Int(count)) | (Multiply, V::Int(count), V::Array(items)) => {
            let items = items.borrow();
            let count = usize::try_from((*count).max(0)).map_err(|_| Stop::Skip)?;
            if items.len().saturating_mul(count) > LENGTH_MAX {
                return Err(Stop::Skip);
            }
            if items.is_empty() {
                return V::array(Vec::new());
            }
            let all = (0..count).flat_map(|_| items.iter().cloned()).collect();
            V::array(all)
        }
        (Remainder, V::Text(_), V::Dict(_)) => Err(Stop::Skip),
        (_, V::Int(a), V::Int(b)) => match operator {
            Add => checked(a.checked_add(*b)),
            Subtract => checked(a.checked_sub(*b)),
            Multiply => checked(a.checked_mul(*b)),
            Divide | Remainder if *b == 0 => fail("division by zero".into()),
            Divide if a.abs() >= EXACT || b.abs() >= EXACT => Err(Stop::Skip),
            Divide => Ok(V::Float(*a as f64 / *b as f64)),
            Remainder => {
                let rest = a % b;
                Ok(V::Int(if rest != 0 && (rest < 0) != (*b < 0) { rest + b } else { rest }))
            }
        },
        (_, V::Int(_) | V::Float(_), V::Int(_) | V::Float(_)) => {
            let number = |value: &V| match value {
                V::Int(number) if number.abs() < EXACT => Ok(*number as f64),
                V::Float(number) => Ok(*number),
                _ => Err(Stop::Skip),
            };
            let (a, b) = (number(&left)?, number(&right)?);
            match operator {
                Add => Ok(V::Float(a + b)),
                Subtract => Ok(V::Float(a - b)),
                Multiply => Ok(V::Float(a * b)),
                Divide if b == 0.0 => fail("division by zero".into()),
                Divide => Ok(V::Float(a / b)),
                // How a Float left is cut is tested with the rule.
                Remainder => Err(Stop::Skip),
            }
        }
        _ => operands(operator.text(), &left, &right),
    }
}

/// `*` and `?` alone.
pub(super) fn glob(pattern: &str, subject: &str) -> bool {
    let (pattern, subject): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), subject.chars().collect());
    let mut fits = vec![false; subject.len() + 1];
    fits[0] = true;
    for sign in pattern {
        let before = fits.clone();
        for at in 0..=subject.len() {
            fits[at] = match sign {
                '*' => before[..=at].contains(&true),
                '?' => at > 0 && before[at - 1],
                sign => at > 0 && before[at - 1] && subject[at - 1] == sign,
            };
        }
    }
    fits[subject.len()]
}

pub(super) fn text(value: &V) -> Result<String, Stop> {
    match value {
        V::Text(text) => Ok(text.to_string()),
        _ => shown(value, 0),
    }
}

fn shown(value: &V, depth: usize) -> Result<String, Stop> {
    if depth > DEPTH_MAX {
        return Err(Stop::Skip);
    }
    Ok(match value {
        V::Null => "null".into(),
        V::Bool(truth) => truth.to_string(),
        V::Int(number) => number.to_string(),
        V::Float(number) => float(*number),
        V::Text(text) => quoted(text),
        V::Array(items) => {
            let items: Vec<String> = items
                .borrow()
                .iter()
                .map(|item| shown(item, depth + 1))
                .collect::<Result<_, _>>()?;
            format!("[{}]", items.join(", "))
        }
        V::Dict(entries) => {
            let entries = entries.borrow();
            let plain = entries.iter().all(|(key, _)| matches!(key, V::Text(key) if is_name(key)));
            let mut shown_entries = Vec::new();
            for (key, value) in entries.iter() {
                let value = shown(value, depth + 1)?;
                shown_entries.push(match key {
                    V::Text(key) if plain => format!("{key}={value}"),
                    key => format!("{}: {value}", shown(key, depth + 1)?),
                });
            }
            format!("{{{}}}", shown_entries.join(", "))
        }
    })
}

fn is_name(text: &str) -> bool {
    const KEYWORDS: &[&str] = &[
        "and", "break", "case", "choice", "continue", "elif", "else", "false", "for", "fork", "if",
        "in", "not", "null", "or", "pfor", "session", "then", "true", "try", "while",
    ];
    !KEYWORDS.contains(&text)
        && text.starts_with(|c: char| c == '_' || c.is_alphabetic())
        && text.chars().all(|c| c == '_' || c.is_alphanumeric())
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// As Python writes it.
fn float(number: f64) -> String {
    if !number.is_finite() {
        return if number.is_nan() {
            "nan".into()
        } else if number > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        };
    }
    let short = format!("{number:e}");
    let (digits, exponent) = short.split_once('e').unwrap();
    let exponent: i32 = exponent.parse().unwrap();
    if (-4..16).contains(&exponent) {
        let plain = format!("{number}");
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}
