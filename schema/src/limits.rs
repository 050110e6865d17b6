//! Every limit of the product, each with its reason. Tests stand at the limit and one past it.
//!
//! A number that bounds something a client can send lives here and nowhere else. Sizes are bytes
//! unless the name says otherwise (`_CHARS` are Unicode scalar values, `_SECONDS` time).

pub use crate::path::{NAME_CHARS_MAX, PATH_CHARS_MAX};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

// --- names and files -------------------------------------------------------------------------

pub use crate::layout::names::{FILE_NAME_BYTES_MAX, STEM_BYTES_MAX, SUFFIX_BYTES_MAX};

/// Bytes of an attachment's own name. Reason: what a file system can hold when it is downloaded.
pub const ATTACHMENT_NAME_MAX: usize = 255;
/// Calls of libraries' functions that run or wait for Python at once, apart from the commands. Reason:
/// each holds a thread; two of them run at most, one for each kind of library.
pub const LIBRARY_CALLS_MAX: usize = 16;
/// A clone of a Repository object on the disk, with its files, when nothing else is configured
/// (`[repository] max_size`). Reason: a remote side must not fill the disk of the server.
pub const REPOSITORY_MAX: u64 = 4 * 1024 * 1024 * 1024;

// --- fields and types ------------------------------------------------------------------------

/// A text field (String, Text, LargeText, Password, URL …). Reason: it is held in memory whole,
/// several times over, while it is validated, compiled and compared.
pub const TEXT_MAX: usize = 16 * MIB;
/// A Binary field. Reason: as [`TEXT_MAX`]; larger content belongs into a File field.
pub const BINARY_MAX: usize = 16 * MIB;
/// A File value. Documented: 1 GB.
pub const ATTACHMENT_MAX: u64 = 1024 * 1024 * 1024;
/// All fields of one object together, attachments apart. Reason: the largest commit a group
/// commit must swallow without stalling the others.
pub const OBJECT_MAX: usize = 32 * MIB;
/// Elements of an array or dictionary field. Reason: a field is read and written as a whole.
pub const ELEMENTS_MAX: usize = 100_000;
/// Characters of a dictionary field's key. Reason: keys become file names and column titles.
pub const KEY_CHARS_MAX: usize = 4_096;
/// Fields of one type. Reason: an edit form of more cannot be used, and each is validated.
pub const FIELDS_MAX: usize = 1_000;
/// One field definition (type name and qualifiers). Decided: 64 KiB.
pub const FIELD_TYPE_MAX: usize = 64 * KIB;
/// Nesting of the JSON in qualifiers. Reason: `switch` in `case` in `object` needs five.
pub const QUALIFIER_DEPTH_MAX: usize = 32;
/// Steps of a `pattern` that needs backtracking. Reason: a hostile pattern must not stall a save.
pub const PATTERN_STEPS_MAX: usize = 1_000_000;
/// Compiled size of a `pattern`. Reason: `\w{1000}{1000}` would need gigabytes.
pub const PATTERN_SIZE_MAX: usize = MIB;
/// Characters of a display name. Reason: shown in one line everywhere.
pub const DISPLAY_NAME_CHARS_MAX: usize = 1_024;
/// A description. Reason: part of every listing.
pub const DESCRIPTION_MAX: usize = 64 * KIB;
/// Permission entries of one object. Reason: all are read at each check.
pub const PERMISSIONS_MAX: usize = 1_000;
/// Problems told of one object. Reason: nobody reads more, and an answer must stay small.
pub const PROBLEMS_MAX: usize = 100;

// --- the language and its processes ----------------------------------------------------------

/// Source of a jobflow. Documented: 65,536 characters.
pub const SOURCE_CHARS_MAX: usize = 65_536;
/// Jobs in one jobflow expression. Documented.
pub const JOBS_MAX: usize = 4_096;
/// Nesting of expressions and blocks in a source. Reason: the parser recurses in Rust.
pub const SYNTAX_DEPTH_MAX: usize = 256;
/// Nesting of values (arrays in dictionaries …). Reason: conversions and comparisons recurse.
pub const VALUE_DEPTH_MAX: usize = 256;
/// Frames of a process. Documented behaviour: `call depth exceeded`.
pub const CALL_DEPTH_MAX: usize = 1_000;
/// A command string, a script's source, each of its arguments. Documented: 112 KB.
pub const COMMAND_MAX: usize = 112 * KIB;
/// Text of a console that is kept, the latest part. Documented: 64 KB.
pub const CONSOLE_MAX: usize = 64 * KIB;
/// Memory of one process's values. Reason: one loop must not take the server down.
pub const PROCESS_HEAP_MAX: usize = 256 * MIB;
/// A string or binary value in a process. Reason: `x * 1000000000` is one instruction.
pub const STRING_MAX: usize = 64 * MIB;
/// Bits of an integer value. Reason: `9 ** 9 ** 9` is two instructions.
pub const INTEGER_BITS_MAX: u64 = 1_000_000;
/// Children of one process alive at once. Reason: `pfor` over a large directory.
pub const CHILDREN_MAX: usize = 10_000;
/// Steps a process runs before another has its turn. Reason: fairness, well below 10 ms.
pub const STEP_BUDGET: u64 = 50_000;

// --- channels --------------------------------------------------------------------------------

/// Messages of one channel. Decided.
pub const QUEUE_MESSAGES_MAX: usize = 100_000;
/// Bytes of one channel's messages. Decided: 64 MiB.
pub const QUEUE_BYTES_MAX: usize = 64 * MIB;

// --- mail ------------------------------------------------------------------------------------

/// Seconds for which a mail server may be talked to until it has taken a mail. Decided: as the
/// longest step of RFC 5321, twice.
pub const MAIL_SEND_SECONDS: u64 = 1_200;
/// Bytes of a mail that give its server a further second. Reason: slow lines, large attachments.
pub const MAIL_SEND_BYTES_PER_SECOND: u64 = 16 * 1024;
/// Seconds that a mail server may take to say good-bye. Reason: it changes nothing any more.
pub const MAIL_LEAVE_SECONDS: u64 = 5;
/// Seconds that one mail of a mailbox may take. Reason: it holds room that others wait for.
pub const MAIL_FETCH_SECONDS: u64 = 600;

// --- records, YAML, exports ------------------------------------------------------------------

/// A record file (YAML). Reason: as a request body; larger attachments have files of their own.
pub const RECORD_MAX: usize = 64 * MIB;
/// Nesting of a record. Reason: the reader recurses; types need at most six levels.
pub const RECORD_DEPTH_MAX: usize = 64;
/// Nodes of a record after aliases. Reason: an alias bomb of nine lines has a billion.
pub const RECORD_NODES_MAX: usize = 4_000_000;
/// Entries of an archive. Reason: a server that must list them.
pub const ARCHIVE_ENTRIES_MAX: u64 = 10_000_000;
/// How far an archive may expand unless allowed. Reason: zip bombs.
pub const ARCHIVE_RATIO_MAX: u64 = 200;

// --- HTTP ------------------------------------------------------------------------------------

/// A request body that is not streamed. Reason: it is held in memory.
pub const BODY_MAX: usize = 64 * MIB;
/// Lines of a page when the client does not say. Documented.
pub const PAGE_SIZE: usize = 25;
/// Lines of a page at most. Documented for Directory and Table.
pub const PAGE_SIZE_MAX: usize = 1_000;
/// Seconds a long poll may hold. Decided.
pub const POLL_SECONDS_MAX: u64 = 3_600;

// --- remote jobs -----------------------------------------------------------------------------

/// Output of one command that is kept for `$RESULT` and `$ERROR`, each. Reason: as a text field.
pub const OUTPUT_MAX: usize = 16 * MIB;
/// Workers of a job manager. Documented default of `pool_size`.
pub const POOL_SIZE: usize = 8;
/// Workers of a job manager at most. Documented.
pub const POOL_SIZE_MAX: usize = 80;
/// Seconds a connection is kept. Documented.
pub const CONNECTION_SECONDS: u64 = 300;

// --- accounts --------------------------------------------------------------------------------

/// Characters of a user or group name. Reason: shown in columns, and a file name of the mount.
pub const ACCOUNT_CHARS_MAX: usize = 150;
/// Bytes of a clear password. Reason: argon2id hashes all of it.
pub const PASSWORD_MAX: usize = 4 * KIB;
/// Failed logins before an account is locked. Documented.
pub const LOGIN_FAILURES: u32 = 3;
/// Minutes an account stays locked. Decided.
pub const LOCKOUT_MINUTES: u64 = 30;
