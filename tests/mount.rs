//! Black box: real programs on a real mount of a store on disk.
//!
//! Without `/dev/fuse` (a container that may not mount) each test says so and passes.

mod full;
mod place;
mod posix;
mod server;
mod tools;
