//! The Huffman code of header strings (RFC 7541, section 5.2 and appendix B), in the direction that a server needs.

use std::sync::LazyLock;

/// How many bits each byte takes; the last entry is the end of the string. The code is canonical, so the bits follow from the lengths.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];

/// A step of eight bits.
#[derive(Clone, Copy)]
enum Step {
    Nothing,
    /// A byte, and how many of the eight bits were its own.
    Byte(u8, u8),
    /// Go on in that table with the next bits.
    Table(u16),
}

static TABLES: LazyLock<Vec<[Step; 256]>> = LazyLock::new(tables);

#[expect(clippy::cast_possible_truncation, reason = "bytes and the fifteen tables of this code")]
fn tables() -> Vec<[Step; 256]> {
    let mut symbols: Vec<usize> = (0..LENGTHS.len()).collect();
    symbols.sort_by_key(|symbol| (LENGTHS[*symbol], *symbol));
    let mut tables = vec![[Step::Nothing; 256]];
    let (mut code, mut length) = (0_u32, 0_u8);
    for symbol in symbols {
        code <<= LENGTHS[symbol] - length;
        length = LENGTHS[symbol];
        if symbol < 256 {
            let (mut table, mut left) = (0, length);
            while left > 8 {
                left -= 8;
                let index = (code >> left) as u8 as usize;
                table = if let Step::Table(next) = tables[table][index] {
                    usize::from(next)
                } else {
                    tables.push([Step::Nothing; 256]);
                    let next = tables.len() - 1;
                    tables[table][index] = Step::Table(next as u16);
                    next
                };
            }
            let first = ((code << (8 - left)) & 0xff) as usize;
            tables[table][first..first + (1 << (8 - left))].fill(Step::Byte(symbol as u8, left));
        }
        code += 1;
    }
    tables
}

/// Appends the text that `coded` stands for; `None` when it is no such code.
#[expect(clippy::cast_possible_truncation, reason = "eight bits are taken out on purpose")]
pub(super) fn decode(coded: &[u8], into: &mut Vec<u8>) -> Option<()> {
    let tables = &*TABLES;
    // `bits` of `current` are not used yet; `open` of them belong to a byte that has begun.
    let (mut table, mut current, mut bits, mut open) = (0, 0_u64, 0_u32, 0_u32);
    for byte in coded {
        current = current << 8 | u64::from(*byte);
        bits += 8;
        open += 8;
        while bits >= 8 {
            match tables[table][usize::from((current >> (bits - 8)) as u8)] {
                Step::Nothing => return None,
                Step::Byte(byte, length) => {
                    into.push(byte);
                    bits -= u32::from(length);
                    (table, open) = (0, bits);
                }
                Step::Table(next) => {
                    bits -= 8;
                    table = usize::from(next);
                }
            }
        }
    }
    while bits > 0 {
        match tables[table][usize::from((current << (8 - bits)) as u8)] {
            Step::Byte(byte, length) if u32::from(length) <= bits => {
                into.push(byte);
                bits -= u32::from(length);
                (table, open) = (0, bits);
            }
            _ => break,
        }
    }
    let padding = (1_u64 << bits) - 1;
    (open < 8 && current & padding == padding).then_some(())
}

#[cfg(test)]
mod tests {
    use super::decode;

    fn decoded(hex: &str) -> Option<String> {
        let mut into = Vec::new();
        decode(&hex::decode(hex).unwrap(), &mut into)?;
        Some(String::from_utf8(into).unwrap())
    }

    /// RFC 7541, appendix C.4 and C.6.
    #[test]
    fn the_examples_of_the_standard_are_read() {
        for (coded, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
        ] {
            assert_eq!(decoded(coded).as_deref(), Some(text));
        }
    }

    #[test]
    fn padding_must_be_ones_and_shorter_than_a_byte() {
        assert_eq!(decoded("a8eb10649cbc"), None);
        assert_eq!(decoded("a8eb10649cbfff"), None);
        assert_eq!(decoded("ffffffff"), None, "the end of the string is never written out");
    }
}
