//! The REST face of a real server.

mod accounts;
mod actions;
mod audits;
mod asking;
mod backup;
mod batch;
mod channels;
mod clients;
mod commands;
mod finding;
mod history;
mod jsonrpc;
mod limits;
mod logins;
mod matrix;
mod objects;
mod paths;
mod processes;
mod properties;
mod repositories;
mod schedules;
mod services;
mod serving;
mod streams;
mod transfer;
mod users;
