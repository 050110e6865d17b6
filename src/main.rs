//! The one binary.

fn main() {
    // First of all, before threads and files: the helper that a running command hangs on.
    if let Some(code) = kompira::remote::local::helper_main() {
        std::process::exit(code);
    }
}
