//! Runs commands on this machine, through a re-exec of our own binary.

/// The helper's main: `None` when this process is not a helper, else its exit code.
///
/// The binary calls this before anything else.
#[must_use]
pub fn helper_main() -> Option<i32> {
    None
}
