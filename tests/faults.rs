//! Disks that fail, lose or damage: nothing that was acknowledged is lost, nothing wrong is told.

mod damage;
mod disk;
mod power;
