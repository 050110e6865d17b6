//! What must not be readable: Password fields at rest, login passwords, API tokens.
//!
//! Architecture invariant: no cryptography of our own. The ciphers and hashes are the RustCrypto
//! and BLAKE3 crates'; this module says what is bound to what.

mod keyfile;
pub mod keys;
pub mod password;
pub mod token;

pub use keys::{Keys, Place};
