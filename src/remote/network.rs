//! How servers are found, and which are believed (rule: `operations/mail-tls`).

use std::error::Error;
use std::io;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, ClientConfig, RootCertStore, crypto};

use super::names::Names;

/// What a connection is made with.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Where addresses come from.
    pub names: Names,
    /// Whom it believes.
    pub trust: Trust,
}

/// Whose signatures on certificates count.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Those that the machine trusts.
    #[default]
    Machine,
    /// These authorities alone.
    Only(Vec<CertificateDer<'static>>),
}

impl Trust {
    /// Certificates and the names in them are always checked.
    ///
    /// # Errors
    /// No encryption can be had, in words.
    pub fn config(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::Machine => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)
            }
            Self::Only(certificates) => roots.add_parsable_certificates(certificates.clone()),
        };
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

/// Why a certificate was not accepted, in words; `None` when the error is another one.
#[must_use]
pub fn bad_certificate(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(why)) = of_tls(error) {
            return Some(format!("its certificate is not accepted: {}", words(why)));
        }
        next = error.source();
    }
    None
}

/// Errors of streams hide what they are made of from `source`.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    let inside = error.downcast_ref::<io::Error>()?.get_ref()?;
    of_tls(inside)
}

fn words(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "it is signed by no authority that this machine trusts".to_owned()
        }
        CertificateError::NotValidForName => "it is for another name".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!("it is for another name ({})", presented.join(", "))
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet".to_owned()
        }
        CertificateError::BadSignature => "its signature is wrong".to_owned(),
        CertificateError::Revoked => "it was revoked".to_owned(),
        other => other.to_string(),
    }
}
