//! What every room stands on: time, settings, logs, stopping.

pub mod clock;
pub mod config;
pub mod durable;
pub mod failpoint;
pub mod log;
pub mod shutdown;
pub mod socket;
