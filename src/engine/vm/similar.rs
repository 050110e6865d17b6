//! `=~`, `in`, and values used as patterns (rules: `language/comparison`, `language/patterns`).

use super::compare::NESTING_MAX;
use super::heap::Heap;
use super::host::Host;
use super::raise::Raise;
use super::value::Value;
use crate::lang::ast::PatternKind;
use crate::lang::pattern::glob;

impl Heap {
    /// Whether a Pattern fits a value.
    ///
    /// # Errors
    /// The pattern is invalid or takes too many steps.
    pub fn fits_pattern(
        &mut self,
        host: &mut dyn Host,
        pattern: Value,
        value: Value,
    ) -> Result<bool, Raise> {
        let Some(held) = self.as_pattern(pattern) else { return Ok(false) };
        let invalid = |reason: String| Raise::new(format!("invalid pattern: {reason}"));
        match self.as_str(value) {
            Some(text) => held.fits(text).map_err(invalid),
            None if held.kind() == PatternKind::Exact => {
                let held = held.clone();
                let text = self.text(host, value)?;
                held.fits(&text).map_err(invalid)
            }
            None => Ok(false),
        }
    }

    /// Whether `value` fits `pattern`, as `case` and guards ask.
    ///
    /// # Errors
    /// As [`Heap::fits_pattern`] and [`Heap::equal`].
    pub fn fits(
        &mut self,
        host: &mut dyn Host,
        value: Value,
        pattern: Value,
    ) -> Result<bool, Raise> {
        match pattern {
            Value::Pattern(_) => self.fits_pattern(host, pattern, value),
            Value::Str(_) => Ok(match (self.as_str(pattern), self.as_str(value)) {
                (Some(pattern), Some(text)) => glob(pattern, text, false),
                _ => false,
            }),
            _ => self.equal(value, pattern),
        }
    }

    /// `left =~ right`
    ///
    /// # Errors
    /// As [`Heap::fits_pattern`], [`Heap::equal`], [`Heap::text`].
    pub fn similar(
        &mut self,
        host: &mut dyn Host,
        left: Value,
        right: Value,
    ) -> Result<bool, Raise> {
        self.similar_at(host, left, right, 0)
    }

    fn similar_at(
        &mut self,
        host: &mut dyn Host,
        left: Value,
        right: Value,
        depth: usize,
    ) -> Result<bool, Raise> {
        if depth > NESTING_MAX {
            return Err(Raise::nesting());
        }
        Ok(match (left, right) {
            (Value::Pattern(_), Value::Pattern(_)) => self.equal(left, right)?,
            (Value::Pattern(_), _) => self.fits_pattern(host, left, right)?,
            (_, Value::Pattern(_)) => self.fits_pattern(host, right, left)?,
            (Value::Str(_), Value::Str(_)) => self.as_str(left) == self.as_str(right),
            (Value::Str(_), _) => {
                let text = self.text(host, right)?;
                self.as_str(left) == Some(&text)
            }
            (_, Value::Str(_)) => {
                let text = self.text(host, left)?;
                self.as_str(right) == Some(&text)
            }
            (Value::Array(_), Value::Array(_)) => {
                let a = self.as_array(left).unwrap_or_default().to_vec();
                let b = self.as_array(right).unwrap_or_default().to_vec();
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (a, b) in a.into_iter().zip(b) {
                    if !self.similar_at(host, a, b, depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Dict(_), Value::Dict(_)) => {
                let entries: Vec<_> =
                    self.as_dict(left).map(|dict| dict.iter().collect()).unwrap_or_default();
                if self.as_dict(right).is_none_or(|dict| dict.len() != entries.len()) {
                    return Ok(false);
                }
                for (key, value) in entries {
                    let Some(other) = self.dict_get(right, key)? else { return Ok(false) };
                    if !self.similar_at(host, value, other, depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            _ => self.equal(left, right)?,
        })
    }

    /// `item in container`
    ///
    /// # Errors
    /// The container is none; a query fails.
    pub fn member(
        &mut self,
        host: &mut dyn Host,
        item: Value,
        container: Value,
    ) -> Result<bool, Raise> {
        let unfit = || Raise::operands("in", item, container);
        match container {
            Value::Array(_) | Value::Lazy(_) => {
                let all = self.elements(host, container)?;
                for held in self.as_array(all).unwrap_or_default() {
                    if self.equal(*held, item)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Str(_) => match (self.as_str(container), self.as_str(item)) {
                (Some(text), Some(part)) => Ok(text.contains(part)),
                _ => Err(unfit()),
            },
            Value::Dict(_) => Ok(self.dict_get(container, item)?.is_some()),
            Value::Ref(..) => {
                let Some(container) = container.handle() else { return Err(unfit()) };
                let Some(child) = item.handle() else {
                    // A container simply does not hold a value that is no Object.
                    return host.children(container)?.map(|_| false).ok_or_else(unfit);
                };
                host.is_child(container, child)?.ok_or_else(unfit)
            }
            _ => Err(unfit()),
        }
    }
}
