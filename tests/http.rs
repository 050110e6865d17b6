//! The REST face of a real server.

mod commands;
mod limits;
mod objects;
mod paths;
mod processes;
mod serving;
mod transfer;
mod users;
