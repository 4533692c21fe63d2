//! What a program prints, without trusting it to stop or to mean well.

use std::fmt::Write;
use std::future::pending;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::{io, mem};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// The read end of a program's output, of which the last part is kept.
pub(super) struct Output {
    pipe: pipe::Receiver,
    chunk: Box<[u8]>,
    over: bool,
    tail: Tail,
}

impl Output {
    const CHUNK: usize = 64 * 1024;

    pub(super) fn new(reader: OwnedFd) -> io::Result<Self> {
        let pipe = pipe::Receiver::from_owned_fd(reader)?;
        let chunk = vec![0; Self::CHUNK].into_boxed_slice();
        Ok(Self { pipe, chunk, over: false, tail: Tail::default() })
    }

    /// Waits for `what` and reads on meanwhile, so that the program is never blocked by a full
    /// pipe.
    pub(super) async fn draining<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = pin!(what);
        loop {
            tokio::select! {
                biased;
                done = &mut what => return done,
                () = self.read() => {}
            }
        }
    }

    /// Reads until every holder of the write end has closed it.
    pub(super) async fn read_to_end(&mut self) {
        while !self.over {
            self.read().await;
        }
    }

    pub(super) fn into_tail(self) -> Tail {
        self.tail
    }

    /// Reads once; never returns after the end. Losing the future loses no byte.
    async fn read(&mut self) {
        if self.over {
            return pending().await;
        }
        match self.pipe.read(&mut self.chunk).await {
            Ok(0) | Err(_) => self.over = true,
            Ok(count) => self.tail.push(&self.chunk[..count]),
        }
    }
}

/// The last bytes of a stream of any length.
#[derive(Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    dropped: u64,
}

impl Tail {
    /// How much is kept.
    pub(super) const LIMIT: usize = 64 * 1024;

    fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        // Twice the limit may pile up, so that bytes are moved rarely.
        if self.bytes.len() > 2 * Self::LIMIT {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        let surplus = self.bytes.len().saturating_sub(Self::LIMIT);
        self.bytes.drain(..surplus);
        self.dropped += u64::try_from(surplus).expect("a length fits 64 bits");
    }

    /// Everything that was printed; `None` if it was more than is kept.
    pub(super) fn into_whole(mut self) -> Option<Vec<u8>> {
        self.shorten();
        (self.dropped == 0).then(|| mem::take(&mut self.bytes))
    }

    /// The text for people: whatever could steer a terminal or mislead the eye is written out, and
    /// what is `unspeakable`, the longest first, reads `***`.
    pub(super) fn into_printable(mut self, unspeakable: &[&str]) -> String {
        self.shorten();
        let mut text = String::with_capacity(self.bytes.len());
        if self.dropped > 0 {
            let _ = writeln!(text, "[{} bytes before this left out]", self.dropped);
            let cut = unspeakable.iter().map(|secret| end_of(secret.as_bytes(), &self.bytes)).max();
            self.bytes.drain(..cut.unwrap_or(0));
            let inner = self.bytes.iter().take_while(|byte| **byte & 0xc0 == 0x80).count();
            self.bytes.drain(..inner);
        }
        let mut printed = String::from_utf8_lossy(&self.bytes).into_owned();
        for secret in unspeakable {
            printed = printed.replace(secret, "***");
        }
        for sign in printed.replace("\r\n", "\n").chars() {
            match sign {
                '\n' | '\t' => text.push(sign),
                _ if sign.is_control() || is_invisible(sign) => text.extend(sign.escape_default()),
                _ => text.push(sign),
            }
        }
        text
    }
}

/// How much of `bytes` may be the end of a secret whose beginning was cut off.
fn end_of(secret: &[u8], bytes: &[u8]) -> usize {
    (1..secret.len())
        .rev()
        .find(|end| bytes.starts_with(&secret[secret.len() - end..]))
        .unwrap_or(0)
}

/// Characters that reorder or hide what stands around them (Unicode Standard Annex 9).
fn is_invisible(sign: char) -> bool {
    matches!(sign, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn printable(bytes: &[u8]) -> String {
        let mut tail = Tail::default();
        tail.push(bytes);
        tail.into_printable(&[])
    }

    #[test]
    fn nothing_steers_the_terminal() {
        let table: [(&[u8], &str); 7] = [
            (b"plain\n\ttext\r\n", "plain\n\ttext\n"),
            (b"\x1b[2J\x1b]0;x\x07", "\\u{1b}[2J\\u{1b}]0;x\\u{7}"),
            (b"over\rwritten", "over\\rwritten"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            ("\u{9b}31m \u{202e}txt".as_bytes(), "\\u{9b}31m \\u{202e}txt"),
            ("grüße 漢字".as_bytes(), "grüße 漢字"),
            (b"\0\x7f\x08", "\\u{0}\\u{7f}\\u{8}"),
        ];
        for (bytes, text) in table {
            assert_eq!(printable(bytes), text);
        }
    }

    #[test]
    fn the_last_part_is_kept_and_the_rest_is_counted() {
        let mut tail = Tail::default();
        for _ in 0..40 {
            tail.push(&[b'x'; 10_000]);
        }
        tail.push("é".repeat(Tail::LIMIT / 2 - 1).as_bytes());
        tail.push(b"end");
        assert!(tail.bytes.capacity() <= 8 * Tail::LIMIT);
        let text = tail.into_printable(&[]);
        let (note, rest) = text.split_once('\n').unwrap();
        assert_eq!(note, format!("[{} bytes before this left out]", 400_000 + 1));
        assert!(rest.starts_with('é') && rest.ends_with("éend"), "{}", &rest[..20]);
    }

    #[test]
    fn what_is_unspeakable_is_masked() {
        let table: [(&[u8], &[&str], &str); 6] = [
            (b"key=hunter22 x", &["hunter22"], "key=*** x"),
            (b"hunter22hunter22\r\n", &["hunter22"], "******\n"),
            (b"\xffhunter22\xff", &["hunter22"], "\u{fffd}***\u{fffd}"),
            (b"a\x1bb", &["a\u{1b}b"], "***"),
            (b"long-and-short", &["long-and-short", "short"], "***"),
            (b"line one\nline two\n", &["line one\nline two", "line two"], "***\n"),
        ];
        for (bytes, unspeakable, text) in table {
            let mut tail = Tail::default();
            tail.push(bytes);
            assert_eq!(tail.into_printable(unspeakable), text);
        }
    }

    #[test]
    fn a_secret_that_is_cut_in_two_is_not_shown_either() {
        let secret = "correct-horse";
        for cut in 0..=secret.len() {
            let mut tail = Tail::default();
            tail.push(&[b'x'; 3 * Tail::LIMIT]);
            tail.push(secret.as_bytes());
            tail.push(&vec![b'y'; Tail::LIMIT - cut]);
            let text = tail.into_printable(&["correct-horse"]);
            let (_, rest) = text.split_once('\n').unwrap();
            let rest = rest.trim_start_matches("***");
            assert!(rest.bytes().all(|byte| byte == b'y'), "{cut}: {}", &rest[..20]);
        }
    }

    #[test]
    fn whole_output_is_whole_or_nothing() {
        let mut tail = Tail::default();
        tail.push(&[1; Tail::LIMIT]);
        assert_eq!(tail.into_whole().unwrap().len(), Tail::LIMIT);
        let mut tail = Tail::default();
        tail.push(&[1; Tail::LIMIT + 1]);
        assert_eq!(tail.into_whole(), None);
    }

    proptest! {
        #[test]
        fn printable_text_has_no_control_characters(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let text = printable(&bytes);
            prop_assert!(text.chars().all(|c| matches!(c, '\n' | '\t') || !c.is_control()));
        }
    }
}
