//! The one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all, before threads and files: the helper that a running command hangs on.
    if let Some(code) = kompira::remote::local::helper_main() {
        std::process::exit(code);
    }
    kompira::cli::main()
}
