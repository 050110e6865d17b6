//! Values across the border of a process: plain data in, plain data out.

use jiff::SignedDuration;
use kompira_schema::value::{Dict as PlainDict, Value as Plain};

use super::compare::NESTING_MAX;
use super::dict::Dict;
use super::heap::{File, Heap};
use super::host::Host;
use super::raise::Raise;
use super::value::{Type, Value};

impl Heap {
    /// Takes plain data in.
    pub fn import(&mut self, plain: &Plain) -> Value {
        match plain {
            Plain::Null => Value::Null,
            Plain::Bool(truth) => Value::Bool(*truth),
            Plain::Int(number) => Value::Int(*number),
            Plain::Big(number) => self.integer(number.clone()),
            Plain::Float(number) => Value::Float(*number),
            Plain::Str(text) => self.str(text.as_str()),
            // Sealed text never reaches a jobflow: the tree opens it for those who may read it.
            Plain::Sealed(_) => Value::Null,
            Plain::Bytes(bytes) => self.binary(bytes.as_slice()),
            Plain::Datetime(at) => {
                let zone = self.zone.clone();
                self.datetime(at.to_zoned(zone))
            }
            Plain::Date(date) => Value::Date(*date),
            Plain::Time(time) => Value::Time(*time),
            Plain::Timedelta(span) => {
                Value::Timedelta(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
            }
            Plain::Object(reference) => (*reference).into(),
            Plain::File(file) => self.file(File { value: file.clone(), origin: None }),
            Plain::Array(items) => {
                let items = items.iter().map(|item| self.import(item)).collect();
                self.array(items)
            }
            Plain::Dict(entries) => {
                let dict = self.dict(Dict::new());
                for (name, value) in entries {
                    let value = self.import(value);
                    self.dict_set_str(dict, name, value);
                }
                dict
            }
        }
    }

    /// Gives plain data out; shared containers become copies. Keys that are no Strings become text;
    /// so do Patterns, and a LazyArray becomes its elements.
    ///
    /// # Errors
    /// Functions and in-memory channels cannot leave; [`Raise::nesting`]; a query fails.
    pub fn export(&mut self, host: &mut dyn Host, value: Value) -> Result<Plain, Raise> {
        self.export_at(host, value, 0)
    }

    fn export_at(
        &mut self,
        host: &mut dyn Host,
        value: Value,
        depth: usize,
    ) -> Result<Plain, Raise> {
        if depth > NESTING_MAX {
            return Err(Raise::nesting());
        }
        Ok(match value {
            Value::Absent | Value::Null => Plain::Null,
            Value::Bool(truth) => Plain::Bool(truth),
            Value::Int(number) => Plain::Int(number),
            Value::Big(_) => Plain::Big(self.as_integer(value).unwrap_or_default()),
            Value::Float(number) => Plain::Float(number),
            Value::Str(_) => Plain::Str(self.as_str(value).unwrap_or_default().to_owned()),
            Value::Bytes(_) => Plain::Bytes(self.as_bytes(value).unwrap_or_default().to_vec()),
            Value::Date(date) => Plain::Date(date),
            Value::Time(time) => Plain::Time(time),
            Value::Timedelta(micros) => Plain::Timedelta(SignedDuration::from_micros(micros)),
            Value::Datetime(_) => {
                self.as_datetime(value).map_or(Plain::Null, |at| Plain::Datetime(at.timestamp()))
            }
            Value::File(_) => {
                self.as_file(value).map_or(Plain::Null, |file| Plain::File(file.value.clone()))
            }
            Value::Pattern(_) => {
                Plain::Str(self.as_pattern(value).map(|held| held.literal()).unwrap_or_default())
            }
            Value::Function(_) => {
                return Err(Raise::convert(&self.text(host, value)?, Type::String));
            }
            Value::Ref(..) => match value.handle().and_then(|handle| handle.reference()) {
                Some(reference) => Plain::Object(reference),
                None => return Err(Raise::convert(&self.text(host, value)?, Type::Object)),
            },
            Value::Lazy(_) => {
                let all = self.elements(host, value)?;
                self.export_at(host, all, depth + 1)?
            }
            Value::Array(_) => {
                let items = self.as_array(value).unwrap_or_default().to_vec();
                Plain::Array(
                    items
                        .into_iter()
                        .map(|item| self.export_at(host, item, depth + 1))
                        .collect::<Result<_, _>>()?,
                )
            }
            Value::Dict(_) => {
                let entries: Vec<_> =
                    self.as_dict(value).map(|dict| dict.iter().collect()).unwrap_or_default();
                let mut plain = PlainDict::with_capacity(entries.len());
                for (key, value) in entries {
                    let key = self.text(host, key)?;
                    plain.insert(key, self.export_at(host, value, depth + 1)?);
                }
                Plain::Dict(plain)
            }
        })
    }

    /// The Array a LazyArray stands for now; any other value as it is.
    ///
    /// # Errors
    /// The query fails.
    pub fn elements(&mut self, host: &mut dyn Host, value: Value) -> Result<Value, Raise> {
        match self.as_lazy(value) {
            Some(query) => {
                let query = query.clone();
                host.query(self, &query, super::host::Ask::All)
            }
            None => Ok(value),
        }
    }
}
