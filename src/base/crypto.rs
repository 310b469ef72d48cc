//! The implementation of cryptography that this process uses, for TLS and for signatures: one for all.

/// Chooses it, unless the program that embeds this one has chosen already. May be called any number of times.
pub fn install_crypto() {
    // Each fails only when there is one already, and that one is kept.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
