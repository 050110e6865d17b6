//! POP3 (RFC 1939). A mailbox lists what it has; what is deleted goes when the server is left.

use std::collections::HashMap;

use super::wire::{Segment, Wire, shown};
use super::{Account, Fetched, LISTED_MAX, Listed, Listing, SAYS, Trouble, login};

#[derive(Debug)]
pub(super) struct Pop {
    wire: Wire,
}

impl Pop {
    pub(super) async fn open(wire: Wire, account: &Account) -> Result<Self, Trouble> {
        let mut pop = Self { wire };
        pop.answer("greeting").await?;
        if account.oauth2 {
            pop.xoauth2(account).await?;
        } else if pop.offers("CRAM-MD5").await? {
            pop.cram_md5(account).await?;
        } else {
            pop.password(account).await?;
        }
        Ok(pop)
    }

    /// Whether a way of logging in is offered; many servers do not know the question.
    async fn offers(&mut self, mechanism: &str) -> Result<bool, Trouble> {
        match self.ask("CAPA").await {
            Ok(_) => {}
            Err(Trouble::Refused(_)) => return Ok(false),
            Err(broken) => return Err(broken),
        }
        let mut offered = false;
        self.each_line(|line| {
            let line = String::from_utf8_lossy(line).to_ascii_uppercase();
            let mut words = line.split_ascii_whitespace();
            offered |= words.next() == Some("SASL") && words.any(|word| word == mechanism);
        })
        .await?;
        Ok(offered)
    }

    async fn password(&mut self, account: &Account) -> Result<(), Trouble> {
        let secret = login::secret(account);
        if account.user.contains(['\r', '\n', '\0']) || secret.contains(['\r', '\n', '\0']) {
            return Err(Trouble::Broken("username or password cannot be sent".to_owned()));
        }
        self.ask(&format!("USER {}", account.user)).await?;
        self.ask(&zeroize::Zeroizing::new(format!("PASS {secret}"))).await.map(drop)
    }

    async fn cram_md5(&mut self, account: &Account) -> Result<(), Trouble> {
        let challenge = self.challenge("AUTH CRAM-MD5").await?;
        let answer = login::cram_md5(account, &challenge)?;
        self.ask(&answer).await.map(drop)
    }

    async fn xoauth2(&mut self, account: &Account) -> Result<(), Trouble> {
        self.challenge("AUTH XOAUTH2").await?;
        self.wire.send(format!("{}\r\n", *login::xoauth2(account)).as_bytes()).await?;
        let line = self.wire.line().await?;
        if line.text.starts_with(b"+ ") || line.text == b"+" {
            // It says why not, and waits for an empty line before it refuses.
            return self.ask("").await.map(drop);
        }
        read(&line.text, "login").map(drop)
    }

    /// Asks for a challenge.
    async fn challenge(&mut self, command: &str) -> Result<Vec<u8>, Trouble> {
        self.wire.send(format!("{command}\r\n").as_bytes()).await?;
        let line = self.wire.line().await?;
        match line.text.strip_prefix(b"+") {
            Some(rest) if !rest.starts_with(b"OK") => Ok(rest.trim_ascii().to_vec()),
            _ => {
                read(&line.text, "login")?;
                Err(Trouble::Broken("the mail server skipped the login".to_owned()))
            }
        }
    }

    pub(super) async fn list(&mut self) -> Result<Listing, Trouble> {
        self.ask("LIST").await?;
        let mut listing = Listing { mails: Vec::new(), complete: true };
        self.each_line(|line| {
            let Some((number, size)) = pair(line) else { return };
            let size = std::str::from_utf8(size).ok().and_then(|size| size.parse().ok());
            if listing.mails.len() < LISTED_MAX {
                listing.mails.push(Listed { number, name: None, size: size.unwrap_or(0) });
            } else {
                listing.complete = false;
            }
        })
        .await?;
        match self.ask("UIDL").await {
            Ok(_) => {}
            // It has no names.
            Err(Trouble::Refused(_)) => return Ok(listing),
            Err(broken) => return Err(broken),
        }
        let mut places: HashMap<u32, &mut Listed> =
            listing.mails.iter_mut().map(|mail| (mail.number, mail)).collect();
        self.each_line(|line| {
            if let Some((number, name)) = pair(line)
                && let Some(mail) = places.get_mut(&number)
            {
                // What is longer is no name (RFC 1939: 70 characters).
                mail.name = (name.len() <= 1_000).then(|| name.to_vec());
            }
        })
        .await?;
        Ok(listing)
    }

    pub(super) async fn fetch(&mut self, number: u32, most: usize) -> Result<Fetched, Trouble> {
        match self.ask(&format!("RETR {number}")).await {
            Ok(_) => {}
            Err(Trouble::Refused(_)) => return Ok(Fetched::Gone),
            Err(broken) => return Err(broken),
        }
        let mut mail = Some(Vec::new());
        let mut begins = true;
        loop {
            let Segment { bytes, last } = self.wire.segment().await?;
            let mut text = bytes.as_slice();
            if begins {
                if matches!(text, b".\r\n" | b".\n") {
                    return Ok(mail.map_or(Fetched::TooLarge, Fetched::Mail));
                }
                text = text.strip_prefix(b".").unwrap_or(text);
            }
            mail = mail.filter(|mail: &Vec<u8>| mail.len() + text.len() <= most);
            if let Some(mail) = &mut mail {
                mail.extend_from_slice(text);
            }
            begins = last;
        }
    }

    pub(super) async fn mark(&mut self, number: u32) -> Result<(), Trouble> {
        self.ask(&format!("DELE {number}")).await.map(drop)
    }

    pub(super) async fn close(mut self) -> Result<(), Trouble> {
        self.ask("QUIT").await.map(drop)
    }

    async fn ask(&mut self, command: &str) -> Result<Vec<u8>, Trouble> {
        let line = zeroize::Zeroizing::new(format!("{command}\r\n"));
        self.wire.send(line.as_bytes()).await?;
        self.answer(command.split(' ').next().unwrap_or_default()).await
    }

    async fn answer(&mut self, to: &str) -> Result<Vec<u8>, Trouble> {
        let line = self.wire.line().await?;
        // What was asked may be an answer to a challenge: a secret.
        read(&line.text, if to.len() > 8 { "login" } else { to })
    }

    /// The lines of a list, up to its end; of one that is too long, its beginning.
    async fn each_line(&mut self, mut see: impl FnMut(&[u8])) -> Result<(), Trouble> {
        loop {
            let line = self.wire.line().await?;
            if line.text == b"." {
                return Ok(());
            }
            see(line.text.strip_prefix(b".").unwrap_or(&line.text));
        }
    }
}

fn read(line: &[u8], to: &str) -> Result<Vec<u8>, Trouble> {
    if let Some(rest) = line.strip_prefix(b"+OK") {
        return Ok(rest.to_vec());
    }
    match line.strip_prefix(b"-ERR") {
        Some(why) => Err(Trouble::Refused(format!("{to}: {SAYS}{}", shown(why)))),
        None => Err(Trouble::Broken("this is no POP3 server".to_owned())),
    }
}

/// A number and what follows it.
fn pair(line: &[u8]) -> Option<(u32, &[u8])> {
    let mut words = line.splitn(2, u8::is_ascii_whitespace);
    let number = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    Some((number, words.next()?.trim_ascii()))
}
