//! Fetches the mails of mail channels (rule: `operations/mail-channels`).

mod settings;

pub(super) use settings::Settings;
