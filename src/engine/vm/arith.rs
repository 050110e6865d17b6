//! `+ - * / %` and the prefix signs (rule: `language/arithmetic`).

use jiff::{SignedDuration, Span};
use num_bigint::BigInt;
use num_traits::{FromPrimitive as _, Signed as _, Zero as _};

use super::compare::to_float;
use super::heap::Heap;
use super::host::Host;
use super::raise::Raise;
use super::value::Value;
use crate::lang::ast::ArithmeticOp;

/// Bits an Integer may have: what one job may spend on one multiplication (some milliseconds).
const INTEGER_BITS_MAX: u64 = 1 << 20;

/// Two numbers made comparable.
enum Pair {
    Integers(BigInt, BigInt),
    Floats(f64, f64),
}

fn zero() -> Raise {
    Raise::new("division by zero")
}

impl Heap {
    fn as_float(&self, value: Value) -> Option<f64> {
        match value {
            #[expect(clippy::cast_precision_loss, reason = "the language converts so")]
            Value::Int(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            Value::Big(_) => self.as_integer(value).map(|number| to_float(&number)),
            _ => None,
        }
    }

    fn pair(&self, left: Value, right: Value) -> Option<Pair> {
        if matches!(left, Value::Float(_)) || matches!(right, Value::Float(_)) {
            return Some(Pair::Floats(self.as_float(left)?, self.as_float(right)?));
        }
        Some(Pair::Integers(self.as_integer(left)?, self.as_integer(right)?))
    }

    fn big(&mut self, number: BigInt) -> Result<Value, Raise> {
        if number.bits() > INTEGER_BITS_MAX {
            return Err(Raise::new("integer too large"));
        }
        Ok(self.integer(number))
    }

    /// `left OP right`
    ///
    /// # Errors
    /// Operands without that operator, a zero divisor, a result too large.
    pub fn arithmetic(
        &mut self,
        host: &mut dyn Host,
        op: ArithmeticOp,
        left: Value,
        right: Value,
    ) -> Result<Value, Raise> {
        match op {
            ArithmeticOp::Add => self.add(host, left, right),
            ArithmeticOp::Subtract => self.subtract(left, right),
            ArithmeticOp::Multiply => self.multiply(left, right),
            ArithmeticOp::Divide => self.divide(left, right),
            ArithmeticOp::Remainder => self.remainder(host, left, right),
        }
    }

    fn add(&mut self, host: &mut dyn Host, left: Value, right: Value) -> Result<Value, Raise> {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => {
                return Ok(match a.checked_add(b) {
                    Some(sum) => Value::Int(sum),
                    None => self.integer(BigInt::from(a) + b),
                });
            }
            (Value::Float(a), Value::Float(b)) => return Ok(Value::Float(a + b)),
            (Value::Str(_), Value::Str(_)) => {
                let (a, b) =
                    (self.as_str(left).unwrap_or_default(), self.as_str(right).unwrap_or_default());
                self.reserve(a.len() + b.len())?;
                let mut text = String::with_capacity(a.len() + b.len());
                text.push_str(a);
                text.push_str(b);
                return Ok(self.string(text));
            }
            (Value::Bytes(_), Value::Bytes(_)) => {
                let (a, b) = (
                    self.as_bytes(left).unwrap_or_default(),
                    self.as_bytes(right).unwrap_or_default(),
                );
                self.reserve(a.len() + b.len())?;
                let bytes = [a, b].concat();
                return Ok(self.binary(bytes));
            }
            (Value::Array(_) | Value::Lazy(_), Value::Array(_) | Value::Lazy(_)) => {
                let (left, right) = (self.elements(host, left)?, self.elements(host, right)?);
                let (a, b) = (
                    self.as_array(left).unwrap_or_default(),
                    self.as_array(right).unwrap_or_default(),
                );
                self.reserve((a.len() + b.len()) * size_of::<Value>())?;
                let items = [a, b].concat();
                return Ok(self.array(items));
            }
            (Value::Timedelta(a), Value::Timedelta(b)) => return span(a.checked_add(b)),
            (Value::Datetime(_), Value::Timedelta(micros)) => {
                return self.shift(left, Some(micros));
            }
            (Value::Timedelta(micros), Value::Datetime(_)) => {
                return self.shift(right, Some(micros));
            }
            (Value::Date(_), Value::Timedelta(micros)) => return shift_date(left, Some(micros)),
            _ => {}
        }
        match self.pair(left, right) {
            Some(Pair::Integers(a, b)) => self.big(a + b),
            Some(Pair::Floats(a, b)) => Ok(Value::Float(a + b)),
            None => Err(Raise::operands("+", left, right)),
        }
    }

    fn subtract(&mut self, left: Value, right: Value) -> Result<Value, Raise> {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => {
                return Ok(match a.checked_sub(b) {
                    Some(difference) => Value::Int(difference),
                    None => self.integer(BigInt::from(a) - b),
                });
            }
            (Value::Timedelta(a), Value::Timedelta(b)) => return span(a.checked_sub(b)),
            (Value::Datetime(_), Value::Timedelta(micros)) => {
                return self.shift(left, micros.checked_neg());
            }
            (Value::Date(_), Value::Timedelta(micros)) => {
                return shift_date(left, micros.checked_neg());
            }
            (Value::Date(a), Value::Date(b)) => {
                return span(Some(
                    i64::try_from(a.duration_since(b).as_micros()).unwrap_or(i64::MAX),
                ));
            }
            (Value::Datetime(_), Value::Datetime(_)) => {
                let at =
                    |value| self.as_datetime(value).map_or(0, |at| at.timestamp().as_microsecond());
                return span(at(left).checked_sub(at(right)));
            }
            _ => {}
        }
        match self.pair(left, right) {
            Some(Pair::Integers(a, b)) => self.big(a - b),
            Some(Pair::Floats(a, b)) => Ok(Value::Float(a - b)),
            None => Err(Raise::operands("-", left, right)),
        }
    }

    fn multiply(&mut self, left: Value, right: Value) -> Result<Value, Raise> {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => {
                return Ok(match a.checked_mul(b) {
                    Some(product) => Value::Int(product),
                    None => self.integer(BigInt::from(a) * b),
                });
            }
            (Value::Str(_) | Value::Array(_) | Value::Bytes(_), Value::Int(_) | Value::Big(_)) => {
                return self.repeat(left, right);
            }
            (Value::Int(_) | Value::Big(_), Value::Str(_) | Value::Array(_) | Value::Bytes(_)) => {
                return self.repeat(right, left);
            }
            _ => {}
        }
        match self.pair(left, right) {
            Some(Pair::Integers(a, b)) => {
                if a.bits() + b.bits() > INTEGER_BITS_MAX {
                    return Err(Raise::new("integer too large"));
                }
                self.big(a * b)
            }
            Some(Pair::Floats(a, b)) => Ok(Value::Float(a * b)),
            None => Err(Raise::operands("*", left, right)),
        }
    }

    fn repeat(&mut self, value: Value, times: Value) -> Result<Value, Raise> {
        let unit = match value {
            Value::Str(_) => self.as_str(value).map_or(0, str::len),
            Value::Bytes(_) => self.as_bytes(value).map_or(0, <[u8]>::len),
            _ => self.as_array(value).map_or(0, <[Value]>::len) * size_of::<Value>(),
        };
        let times = match times {
            // Nothing stays nothing, however often.
            _ if unit == 0 => 0,
            Value::Int(number) => usize::try_from(number.max(0)).map_err(|_| Raise::memory())?,
            _ if self.as_integer(times).is_some_and(|number| number.is_negative()) => 0,
            _ => return Err(Raise::memory()),
        };
        self.reserve(unit.checked_mul(times).ok_or_else(Raise::memory)?)?;
        Ok(match value {
            Value::Str(_) => {
                let text = self.as_str(value).unwrap_or_default().repeat(times);
                self.string(text)
            }
            Value::Bytes(_) => {
                let bytes = self.as_bytes(value).unwrap_or_default().repeat(times);
                self.binary(bytes)
            }
            _ => {
                let items = self.as_array(value).unwrap_or_default().repeat(times);
                self.array(items)
            }
        })
    }

    fn divide(&mut self, left: Value, right: Value) -> Result<Value, Raise> {
        if let (Value::Timedelta(micros), Value::Int(_) | Value::Float(_)) = (left, right) {
            let divisor = self.as_float(right).unwrap_or(0.0);
            if divisor == 0.0 {
                return Err(zero());
            }
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                reason = "rounded on purpose"
            )]
            return span(Some((micros as f64 / divisor).round() as i64));
        }
        match self.pair(left, right) {
            Some(Pair::Floats(_, 0.0)) => Err(zero()),
            Some(Pair::Floats(a, b)) => Ok(Value::Float(a / b)),
            Some(Pair::Integers(_, b)) if b.is_zero() => Err(zero()),
            Some(Pair::Integers(a, b)) => Ok(Value::Float(ratio(&a, &b))),
            None => Err(Raise::operands("/", left, right)),
        }
    }

    fn remainder(
        &mut self,
        host: &mut dyn Host,
        left: Value,
        right: Value,
    ) -> Result<Value, Raise> {
        match (left, right) {
            (Value::Int(_), Value::Int(0)) => return Err(zero()),
            (Value::Int(a), Value::Int(b)) => {
                // i64::MIN % -1 overflows the instruction though its result is 0.
                let rest = a.wrapping_rem(b);
                return Ok(Value::Int(if rest != 0 && (rest < 0) != (b < 0) {
                    rest + b
                } else {
                    rest
                }));
            }
            (Value::Str(_), Value::Dict(_) | Value::Ref(..)) => {
                return self.template(host, left, right);
            }
            (Value::Float(number), Value::Int(_) | Value::Big(_)) => {
                // The result has the type of the second operand (decision C-32).
                let Some(whole) = BigInt::from_f64(number.trunc()) else {
                    return Err(Raise::convert(
                        &super::text::float(number),
                        super::value::Type::Integer,
                    ));
                };
                let whole = self.integer(whole);
                return self.remainder(host, whole, right);
            }
            _ => {}
        }
        match self.pair(left, right) {
            Some(Pair::Floats(_, 0.0)) => Err(zero()),
            Some(Pair::Floats(a, b)) => {
                let rest = a % b;
                Ok(Value::Float(if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
                    rest + b
                } else {
                    rest
                }))
            }
            Some(Pair::Integers(_, b)) if b.is_zero() => Err(zero()),
            Some(Pair::Integers(a, b)) => {
                let rest = &a % &b;
                let floored = if !rest.is_zero() && rest.is_negative() != b.is_negative() {
                    rest + b
                } else {
                    rest
                };
                Ok(self.integer(floored))
            }
            None => Err(Raise::operands("%", left, right)),
        }
    }

    /// `'%name %{name} %%' % dictionary` (rule: `language/percent-template`).
    fn template(&mut self, host: &mut dyn Host, text: Value, data: Value) -> Result<Value, Raise> {
        let text: Box<str> = self.as_str(text).unwrap_or_default().into();
        let mut out = String::with_capacity(text.len());
        let mut rest = &*text;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(tail) = after.strip_prefix('%') {
                out.push('%');
                rest = tail;
                continue;
            }
            let (name, tail) = match after.strip_prefix('{') {
                Some(inner) => match inner.find('}') {
                    Some(end) if name_length(inner) == end => (&inner[..end], &inner[end + 1..]),
                    _ => ("", after),
                },
                None => after.split_at(name_length(after)),
            };
            let found = if name.is_empty() { None } else { self.blank(host, data, name)? };
            match found {
                Some(value) => {
                    self.append_text(host, &mut out, value)?;
                    rest = tail;
                }
                None => {
                    out.push('%');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        Ok(self.string(out))
    }

    fn blank(
        &mut self,
        host: &mut dyn Host,
        data: Value,
        name: &str,
    ) -> Result<Option<Value>, Raise> {
        match data.handle() {
            None => Ok(self.dict_get_str(data, name)),
            // Field first, then property (decision C-34).
            Some(object) => {
                match host.field(self, object, name).or_else(|_| host.attribute(self, object, name))
                {
                    Ok(Value::Function(_)) | Err(_) => Ok(None),
                    Ok(value) => Ok(Some(value)),
                }
            }
        }
    }

    /// `-value`, `+value`
    ///
    /// # Errors
    /// A value that is no number and no Timedelta.
    pub fn sign(&mut self, value: Value, minus: bool) -> Result<Value, Raise> {
        match value {
            Value::Int(_) | Value::Big(_) | Value::Float(_) | Value::Timedelta(_) if !minus => {
                Ok(value)
            }
            Value::Int(number) => Ok(match number.checked_neg() {
                Some(negated) => Value::Int(negated),
                None => self.integer(-BigInt::from(number)),
            }),
            Value::Big(_) => {
                let number = self.as_integer(value).unwrap_or_default();
                Ok(self.integer(-number))
            }
            Value::Float(number) => Ok(Value::Float(-number)),
            Value::Timedelta(micros) => span(micros.checked_neg()),
            _ => Err(Raise::operand(if minus { "-" } else { "+" }, value)),
        }
    }

    fn shift(&mut self, datetime: Value, micros: Option<i64>) -> Result<Value, Raise> {
        let Some(at) = self.as_datetime(datetime) else { return Ok(Value::Null) };
        let moved =
            micros.and_then(|micros| at.checked_add(SignedDuration::from_micros(micros)).ok());
        match moved {
            Some(moved) => Ok(self.datetime(moved)),
            None => Err(out_of_range()),
        }
    }
}

fn shift_date(date: Value, micros: Option<i64>) -> Result<Value, Raise> {
    const DAY: i64 = 86_400_000_000;
    let (Value::Date(date), Some(micros)) = (date, micros) else { return Err(out_of_range()) };
    let days = Span::new().try_days(micros.div_euclid(DAY)).map_err(|_| out_of_range())?;
    date.checked_add(days).map(Value::Date).map_err(|_| out_of_range())
}

fn span(micros: Option<i64>) -> Result<Value, Raise> {
    micros.map(Value::Timedelta).ok_or_else(out_of_range)
}

fn out_of_range() -> Raise {
    Raise::new("date value out of range")
}

/// How many bytes of `text` are a name.
fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|char: char| !(char.is_alphanumeric() || char == '_')).unwrap_or(text.len())
}

/// The Float nearest to a quotient of Integers, also where the operands alone are too large.
fn ratio(a: &BigInt, b: &BigInt) -> f64 {
    let (left, right) = (to_float(a), to_float(b));
    if left.is_finite() && right.is_finite() {
        return left / right;
    }
    let shift = a.bits().max(b.bits()).saturating_sub(1000);
    to_float(&(a >> shift)) / to_float(&(b >> shift))
}
