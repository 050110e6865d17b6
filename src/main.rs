//! The one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all, before threads and files: the helper that a running command hangs on, and the
    // guard of a server's mounts.
    let helper = kompira::remote::local::helper_main().or_else(kompira::app::guard_main);
    if let Some(code) = helper {
        std::process::exit(code);
    }
    kompira::cli::main()
}
