//! How an object looks as files and how files become an object: the one layout of every face.

pub mod names;
