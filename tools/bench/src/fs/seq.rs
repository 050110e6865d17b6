//! Phase g: one big file, written and read from end to end.

use super::probe::Probe;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Instant;

/// Bytes of one call.
const BLOCK: usize = 128 * 1024;

pub(super) fn run(probe: &mut Probe<'_>) {
    let path = probe.root.join("big.bin");
    let block = noise();
    let written = write(probe, &path, &block);
    probe.check("write", &path, written);
    probe.cold(true);
    for metric in ["seq_read_cold", "seq_read_warm"] {
        let start = Instant::now();
        let done = read(&path, &block, probe.settings.big_mib);
        probe.took(metric, "MiB/s", probe.settings.big_mib, start);
        probe.check("read", &path, done);
    }
    probe.check("unlink", &path, fs::remove_file(&path));
}

fn write(probe: &mut Probe<'_>, path: &Path, block: &[u8]) -> io::Result<()> {
    let mib = probe.settings.big_mib;
    let mut block = block.to_vec();
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let start = Instant::now();
    for number in 0..mib * (1024 * 1024 / BLOCK) {
        mark(&mut block, number);
        file.write_all(&block)?;
    }
    probe.took("seq_write", "MiB/s", mib, start);
    file.sync_all()?;
    nix::unistd::close(file)?;
    probe.took("seq_write_fsync_close", "MiB/s", mib, start);
    Ok(())
}

fn read(path: &Path, block: &[u8], mib: usize) -> io::Result<()> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; BLOCK]);
    for number in 0..mib * (1024 * 1024 / BLOCK) {
        file.read_exact(&mut buffer)?;
        // The mark and the end of each block: comparing all of it would measure the comparison.
        if buffer.get(..8) != Some(&number.to_le_bytes()[..])
            || buffer.last_chunk::<64>() != block.last_chunk::<64>()
        {
            return Err(io::Error::other(format!("block {number} is not what was written")));
        }
    }
    if file.read(&mut buffer)? == 0 {
        Ok(())
    } else {
        Err(io::Error::other("longer than what was written"))
    }
}

fn mark(block: &mut [u8], number: usize) {
    if let Some(head) = block.first_chunk_mut::<8>() {
        *head = number.to_le_bytes();
    }
}

/// Bytes that no compression makes smaller.
fn noise() -> Vec<u8> {
    let mut random: u64 = 88_172_645_463_325_252;
    let mut bytes = Vec::with_capacity(BLOCK);
    while bytes.len() < BLOCK {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        bytes.extend_from_slice(&random.to_le_bytes());
    }
    bytes
}
