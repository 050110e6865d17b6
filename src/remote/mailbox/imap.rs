//! IMAP4rev1 (RFC 3501), the little of it that reading a mailbox takes.

mod response;

use super::wire::{Wire, shown};
use super::{Account, Fetched, LISTED_MAX, Listed, Listing, Mode, SAYS, Trouble, login};
use response::Response;
use zeroize::Zeroizing;

/// Numbers in one command. Reason: servers take lines of some thousand bytes.
const SET_MAX: usize = 200;

#[derive(Debug)]
pub(super) struct Imap {
    wire: Wire,
    mode: Mode,
    tag: u32,
    capabilities: Vec<String>,
    /// Makes the numbers of mails names.
    validity: u32,
    /// Mails in the folder.
    exists: u32,
    /// Mails that are marked and not yet gone.
    marked: Vec<u32>,
}

impl Imap {
    pub(super) async fn open(wire: Wire, account: &Account) -> Result<Self, Trouble> {
        let mut imap = Self {
            wire,
            mode: account.mode,
            tag: 0,
            capabilities: Vec::new(),
            validity: 0,
            exists: 0,
            marked: Vec::new(),
        };
        let greeting = Response::read(&mut imap.wire).await?;
        let greeted = match greeting.words().nth(1) {
            Some(b"OK") => false,
            Some(b"PREAUTH") => true,
            Some(b"BYE") => return Err(bye(&greeting)),
            _ => return Err(Trouble::Broken("this is no IMAP server".to_owned())),
        };
        if !greeted {
            imap.learn_capabilities().await?;
            imap.login(account).await?;
        }
        // They may be others from here on.
        imap.learn_capabilities().await?;
        imap.select(&account.folder).await?;
        Ok(imap)
    }

    async fn learn_capabilities(&mut self) -> Result<(), Trouble> {
        let mut found = Vec::new();
        let asked = self.command("CAPABILITY", |response| {
            let mut words = response.words();
            if words.nth(1).is_some_and(|word| word.eq_ignore_ascii_case(b"CAPABILITY")) {
                found.extend(words.map(|word| String::from_utf8_lossy(word).to_ascii_uppercase()));
            }
        });
        match asked.await {
            // A server that does not know the question can do the least.
            Ok(()) | Err(Trouble::Refused(_)) => {}
            Err(broken) => return Err(broken),
        }
        self.capabilities = found;
        Ok(())
    }

    fn can(&self, word: &str) -> bool {
        self.capabilities.iter().any(|one| one == word)
    }

    async fn login(&mut self, account: &Account) -> Result<(), Trouble> {
        if account.oauth2 {
            return self.authenticate("XOAUTH2", |_| Ok(login::xoauth2(account))).await;
        }
        if self.can("AUTH=CRAM-MD5") {
            let answer = |challenge: &[u8]| login::cram_md5(account, challenge);
            return self.authenticate("CRAM-MD5", answer).await;
        }
        if self.can("LOGINDISABLED") {
            let why = "the mail server takes no password without encryption";
            return Err(Trouble::Refused(why.to_owned()));
        }
        let (user, word) = (account.user.as_bytes(), login::secret(account).as_bytes());
        if user.contains(&0) || word.contains(&0) {
            return Err(Trouble::Broken("username or password cannot be sent".to_owned()));
        }
        self.say(&[Piece::Plain("LOGIN"), Piece::Text(user), Piece::Text(word)], "login").await
    }

    /// Logs in by answering one challenge.
    async fn authenticate(
        &mut self,
        mechanism: &str,
        answer: impl Fn(&[u8]) -> Result<Zeroizing<String>, Trouble>,
    ) -> Result<(), Trouble> {
        let tag = self.next_tag();
        self.wire.send(format!("{tag} AUTHENTICATE {mechanism}\r\n").as_bytes()).await?;
        let mut answered = false;
        loop {
            let response = Response::read(&mut self.wire).await?;
            if let Some(challenge) = response.challenge() {
                // A second one says why the first answer was wrong.
                let text = if answered { Zeroizing::default() } else { answer(challenge)? };
                self.wire.send(Zeroizing::new(format!("{}\r\n", *text)).as_bytes()).await?;
                answered = true;
            } else if let Some(end) = response.end(&tag, "login") {
                return end;
            } else if response.is_bye() {
                return Err(bye(&response));
            }
        }
    }

    async fn select(&mut self, folder: &str) -> Result<(), Trouble> {
        let folder = if folder.is_empty() { "INBOX" } else { folder };
        if !folder.is_ascii() || folder.contains('\0') {
            return Err(Trouble::Refused(format!(
                "the name of the mailbox is not ASCII: {folder}"
            )));
        }
        let (mut exists, mut validity, mut fixed) = (0, 0, false);
        let pieces = [Piece::Plain("SELECT"), Piece::Text(folder.as_bytes())];
        self.converse(&pieces, "mailbox", |response| {
            exists = response.count("EXISTS").unwrap_or(exists);
            validity = response.code("UIDVALIDITY").unwrap_or(validity);
            fixed |= response.has_code("READ-ONLY");
        })
        .await?;
        if fixed {
            return Err(Trouble::Refused("the mailbox can only be read".to_owned()));
        }
        (self.exists, self.validity) = (exists, validity);
        Ok(())
    }

    pub(super) async fn list(&mut self) -> Result<Listing, Trouble> {
        let most = u32::try_from(LISTED_MAX).unwrap_or(u32::MAX);
        let mut listing = Listing { mails: Vec::new(), complete: true };
        match self.mode {
            Mode::AllAndDelete if self.exists == 0 => {}
            Mode::AllAndDelete => {
                listing.complete = self.exists <= most;
                let last = self.exists.min(most);
                let command = format!("FETCH 1:{last} (UID RFC822.SIZE)");
                self.sizes(&command, &mut listing.mails).await?;
            }
            Mode::UnseenAndSetSeen => {
                let (mut found, mut cut) = (Vec::new(), false);
                self.command("UID SEARCH UNSEEN", |response| {
                    cut |= response.found(&mut found, LISTED_MAX);
                })
                .await?;
                listing.complete = !cut;
                for set in found.chunks(SET_MAX) {
                    let command = format!("UID FETCH {} (UID RFC822.SIZE)", numbers(set));
                    self.sizes(&command, &mut listing.mails).await?;
                }
            }
        }
        listing.mails.sort_by_key(|mail| mail.number);
        listing.mails.dedup_by_key(|mail| mail.number);
        Ok(listing)
    }

    async fn sizes(&mut self, command: &str, mails: &mut Vec<Listed>) -> Result<(), Trouble> {
        let validity = self.validity;
        self.command(command, |response| {
            if let Some(number) = response.item("UID").filter(|_| mails.len() < LISTED_MAX) {
                let size = response.item("RFC822.SIZE").unwrap_or(0);
                let name = format!("{validity}.{number}").into_bytes();
                mails.push(Listed { number, name: Some(name), size: u64::from(size) });
            }
        })
        .await
    }

    pub(super) async fn fetch(&mut self, number: u32, most: usize) -> Result<Fetched, Trouble> {
        let mut fetched = Fetched::Gone;
        let usual = std::mem::replace(&mut self.wire.most, most);
        let command = format!("UID FETCH {number} (UID BODY.PEEK[])");
        let asked = self.command(&command, |response| {
            if response.item("UID") == Some(number)
                && let Some(body) = response.body()
            {
                fetched = body.map_or(Fetched::TooLarge, Fetched::Mail);
            }
        });
        let asked = asked.await;
        self.wire.most = usual;
        asked.map(|()| fetched)
    }

    pub(super) async fn mark(&mut self, number: u32) -> Result<bool, Trouble> {
        let deletes = self.mode == Mode::AllAndDelete;
        let flag = if deletes { "\\Deleted" } else { "\\Seen" };
        let command = format!("UID STORE {number} +FLAGS.SILENT ({flag})");
        self.command(&command, |_| {}).await?;
        if deletes {
            self.marked.push(number);
        }
        Ok(!deletes)
    }

    pub(super) async fn close(mut self) -> Result<(), Trouble> {
        let marked = std::mem::take(&mut self.marked);
        if self.can("UIDPLUS") {
            for set in marked.chunks(SET_MAX) {
                self.command(&format!("UID EXPUNGE {}", numbers(set)), |_| {}).await?;
            }
        } else if !marked.is_empty() {
            self.command("EXPUNGE", |_| {}).await?;
        }
        let tag = self.next_tag();
        // All that counts is confirmed; whether it says good-bye does not matter.
        let _ = self.wire.send(format!("{tag} LOGOUT\r\n").as_bytes()).await;
        Ok(())
    }

    fn next_tag(&mut self) -> String {
        self.tag += 1;
        format!("k{}", self.tag)
    }

    async fn command(
        &mut self,
        command: &str,
        see: impl FnMut(&mut Response),
    ) -> Result<(), Trouble> {
        let name = command.split_ascii_whitespace().find(|word| *word != "UID");
        let name = name.unwrap_or_default().to_owned();
        self.converse(&[Piece::Plain(command)], &name, see).await
    }

    async fn say(&mut self, pieces: &[Piece<'_>], name: &str) -> Result<(), Trouble> {
        self.converse(pieces, name, |_| {}).await
    }

    /// Sends a command and shows what comes until its end.
    async fn converse(
        &mut self,
        pieces: &[Piece<'_>],
        name: &str,
        mut see: impl FnMut(&mut Response),
    ) -> Result<(), Trouble> {
        let tag = self.next_tag();
        let mut line = Zeroizing::new(tag.clone().into_bytes());
        for piece in pieces {
            line.push(b' ');
            match piece {
                Piece::Plain(text) => line.extend_from_slice(text.as_bytes()),
                Piece::Text(text) if text.iter().all(|byte| (0x20..0x7f).contains(byte)) => {
                    line.push(b'"');
                    for &byte in *text {
                        if matches!(byte, b'"' | b'\\') {
                            line.push(b'\\');
                        }
                        line.push(byte);
                    }
                    line.push(b'"');
                }
                Piece::Text(text) => {
                    line.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
                    self.wire.send(&line).await?;
                    let go = Response::read(&mut self.wire).await?;
                    if go.challenge().is_none() {
                        let refused =
                            || Trouble::Broken("the mail server did not answer".to_owned());
                        return go.end(&tag, name).unwrap_or_else(|| Err(refused()));
                    }
                    line.clear();
                    line.extend_from_slice(text);
                }
            }
        }
        line.extend_from_slice(b"\r\n");
        self.wire.send(&line).await?;
        loop {
            let mut response = Response::read(&mut self.wire).await?;
            if let Some(end) = response.end(&tag, name) {
                if response.has_code("READ-ONLY") {
                    see(&mut response);
                }
                return end;
            }
            if response.is_bye() {
                return Err(bye(&response));
            }
            see(&mut response);
        }
    }
}

/// A part of a command.
enum Piece<'a> {
    /// As it is.
    Plain(&'a str),
    /// Text that may hold anything.
    Text(&'a [u8]),
}

fn numbers(set: &[u32]) -> String {
    set.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

fn bye(response: &Response) -> Trouble {
    Trouble::Broken(format!("{SAYS}{}", shown(response.text())))
}
