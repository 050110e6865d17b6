//! Texts with values in them (rule: `language/interpolation`), and `$ENV`.

use super::super::host::Host;
use super::super::machine::Machine;
use super::super::raise::Raise;
use super::super::value::Value;
use crate::lang::program::Part;

/// Bytes of a buffer for templates that is kept for the next.
const SCRATCH_KEPT: usize = 4096;

impl Machine {
    /// The text of a template.
    pub(super) fn fill(
        &mut self,
        host: &mut dyn Host,
        base: usize,
        parts: &[Part],
    ) -> Result<Value, Raise> {
        let mut out = std::mem::take(&mut self.scratch);
        out.clear();
        let filled = self.fill_into(host, base, parts, &mut out);
        let value = self.heap.str(&out);
        // One long text is no reason to hold its memory.
        if out.capacity() <= SCRATCH_KEPT {
            self.scratch = out;
        }
        filled.map(|()| value)
    }

    fn fill_into(
        &mut self,
        host: &mut dyn Host,
        base: usize,
        parts: &[Part],
        out: &mut String,
    ) -> Result<(), Raise> {
        for part in parts {
            let value = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::Variable { register, written } => match self.stack[base + *register as usize]
                {
                    Value::Absent => {
                        out.push_str(written);
                        continue;
                    }
                    value => value,
                },
                Part::Status(register) => self.stack[base + *register as usize],
                Part::Debug => self.debug,
                Part::Env => self.env(host),
            };
            self.heap.append_text(host, out, value)?;
        }
        Ok(())
    }

    pub(super) fn env(&mut self, host: &mut dyn Host) -> Value {
        if self.environment.is_absent() {
            self.environment = host.environment(&mut self.heap);
        }
        self.environment
    }
}
