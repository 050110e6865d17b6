//! The REST face of a real server.

mod backup;
mod channels;
mod commands;
mod limits;
mod logins;
mod objects;
mod paths;
mod processes;
mod schedules;
mod serving;
mod streams;
mod transfer;
mod users;
