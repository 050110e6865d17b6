//! How an object looks as files and how files become an object: the one layout of every face.

pub mod attach;
pub mod content;
pub mod json;
pub mod names;
pub mod record;
pub mod yaml;
