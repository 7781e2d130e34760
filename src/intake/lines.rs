//! Lines of a text that comes in chunks, wherever these are cut. No more than one line is kept, and one
//! that is too long is passed over as it comes.

/// A line without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Whole(Vec<u8>),
    TooLong,
}

/// Cuts chunks into lines.
#[derive(Debug)]
pub struct Lines {
    bytes_max: usize,
    /// The beginning of a line whose end has not come.
    kept: Vec<u8>,
    is_too_long: bool,
    /// Lines that have ended.
    count: u64,
}

impl Lines {
    /// `bytes_max`: of a line without its end.
    pub fn new(bytes_max: usize) -> Lines {
        Lines {
            bytes_max,
            kept: Vec::new(),
            is_too_long: false,
            count: 0,
        }
    }

    /// The next line that ends within `chunk`, and its number from 1; takes from the chunk what it read.
    /// `None`: the rest is kept, and the next chunk is needed.
    pub fn next(&mut self, chunk: &mut &[u8]) -> Option<(u64, Line)> {
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let (part, rest) = match end {
            Some(end) => (&chunk[..end], &chunk[end + 1..]),
            None => (*chunk, &[][..]),
        };
        self.keep(part);
        *chunk = rest;
        end.map(|_| self.take())
    }

    /// The last line, where the text did not end with a line's end.
    pub fn finish(&mut self) -> Option<(u64, Line)> {
        let is_any = !self.kept.is_empty() || self.is_too_long;
        is_any.then(|| self.take())
    }

    fn keep(&mut self, part: &[u8]) {
        // One byte more, which a carriage return may be.
        if self.kept.len() + part.len() > self.bytes_max + 1 {
            self.is_too_long = true;
            self.kept.clear();
        }
        if !self.is_too_long {
            self.kept.extend_from_slice(part);
        }
    }

    fn take(&mut self) -> (u64, Line) {
        self.count += 1;
        let mut bytes = std::mem::take(&mut self.kept);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let is_too_long = std::mem::take(&mut self.is_too_long) || bytes.len() > self.bytes_max;
        match is_too_long {
            true => (self.count, Line::TooLong),
            false => (self.count, Line::Whole(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All lines of a text that comes in chunks of this size.
    fn lines(text: &[u8], chunk_bytes: usize, bytes_max: usize) -> Vec<(u64, Line)> {
        let mut lines = Lines::new(bytes_max);
        let mut found = Vec::new();
        for mut chunk in text.chunks(chunk_bytes) {
            while let Some(line) = lines.next(&mut chunk) {
                found.push(line);
            }
            assert!(lines.kept.len() <= bytes_max + 1);
        }
        found.extend(lines.finish());
        found
    }

    #[test]
    fn a_text_comes_to_the_same_lines_however_it_is_cut() {
        let text = "a,b\r\n\nGrüße,☎\nlast".as_bytes();
        let whole = |line: &str| Line::Whole(line.as_bytes().to_vec());
        let wanted = vec![
            (1, whole("a,b")),
            (2, whole("")),
            (3, whole("Grüße,☎")),
            (4, whole("last")),
        ];
        for chunk_bytes in 1..=text.len() {
            assert_eq!(lines(text, chunk_bytes, 100), wanted, "{chunk_bytes}");
        }
        assert_eq!(lines(b"a\n", 10, 100).len(), 1);
        assert_eq!(lines(b"", 10, 100), []);
    }

    #[test]
    fn a_line_that_is_too_long_costs_itself_only() {
        for (length, is_whole) in [
            (9, true),
            (10, true),
            (11, false),
            (12, false),
            (1_000, false),
        ] {
            for end in ["\n", "\r\n"] {
                let text = format!("{}{end}next", "x".repeat(length));
                for chunk_bytes in [1, 3, 7, 2_000] {
                    let found = lines(text.as_bytes(), chunk_bytes, 10);
                    assert_eq!(
                        found[0].1 != Line::TooLong,
                        is_whole,
                        "{length} {chunk_bytes}"
                    );
                    assert_eq!(found[1], (2, Line::Whole(b"next".to_vec())));
                }
            }
        }
    }
}
