//! Lists of headers, as they cross the boundary: the number of pairs, the sizes of each name and
//! value, then names and values, each with a zero byte behind it. Numbers are little endian, 32
//! bits.

/// A list that came from the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs(Vec<u8>);

impl Pairs {
    /// From the host's bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Names and values in the order of the wire. A list that is cut short ends where it can no
    /// longer be read.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let sizes_and_bytes = self.0.split_first_chunk().and_then(|(count, rest)| {
            let sizes = usize::try_from(u32::from_le_bytes(*count))
                .ok()?
                .checked_mul(8)?;
            rest.split_at_checked(sizes)
        });
        let (sizes, mut bytes) = sizes_and_bytes.unwrap_or_default();
        let (sizes, _) = sizes.as_chunks::<4>();
        let (sizes, _) = sizes.as_chunks::<2>();
        sizes.iter().map_while(move |[name, value]| {
            let name = take(&mut bytes, *name)?;
            let value = take(&mut bytes, *value)?;
            Some((name, value))
        })
    }
}

/// The next name or value, without the zero byte behind it.
fn take<'a>(bytes: &mut &'a [u8], size: [u8; 4]) -> Option<&'a [u8]> {
    let size = usize::try_from(u32::from_le_bytes(size)).ok()?;
    let (taken, rest) = bytes.split_at_checked(size)?;
    (_, *bytes) = rest.split_first()?;
    Some(taken)
}

/// A list for the host; `None` when it is larger than the boundary can carry.
#[must_use]
pub fn encode(pairs: &[(&str, &str)]) -> Option<Vec<u8>> {
    let mut bytes = u32::try_from(pairs.len()).ok()?.to_le_bytes().to_vec();
    for (name, value) in pairs {
        bytes.extend_from_slice(&u32::try_from(name.len()).ok()?.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(value.len()).ok()?.to_le_bytes());
    }
    for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
        bytes.extend_from_slice(part.as_bytes());
        bytes.push(0);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &Pairs) -> Vec<(&[u8], &[u8])> {
        pairs.iter().collect()
    }

    #[test]
    fn a_list_is_laid_out_as_the_host_reads_it() {
        let bytes = encode(&[("a", "bc"), ("", "")]).unwrap();
        assert_eq!(
            bytes,
            b"\x02\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0a\0bc\0\0\0"
        );
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let list = [(":method", "GET"), ("empty", ""), ("cookie", "a=b; c")];
        let pairs = Pairs::new(encode(&list).unwrap());
        let expected: Vec<_> = list
            .iter()
            .map(|(n, v)| (n.as_bytes(), v.as_bytes()))
            .collect();
        assert_eq!(read(&pairs), expected);
    }

    #[test]
    fn names_and_values_may_be_any_bytes() {
        let pairs = Pairs::new(b"\x01\0\0\0\x01\0\0\0\x02\0\0\0\xff\0\0\xfe\0".to_vec());
        assert_eq!(read(&pairs), [(&b"\xff"[..], &b"\0\xfe"[..])]);
    }

    #[test]
    fn a_list_that_is_cut_anywhere_gives_whole_pairs_and_no_trap() {
        let list = [("name", "value"), ("other", "thing")];
        let whole = encode(&list).unwrap();
        for cut in 0..whole.len() {
            let pairs = Pairs::new(whole[..cut].to_vec());
            let read = read(&pairs);
            assert!(read.len() < list.len(), "{cut}");
            for (pair, (name, value)) in read.iter().zip(list) {
                assert_eq!(*pair, (name.as_bytes(), value.as_bytes()));
            }
        }
        assert_eq!(read(&Pairs::default()), []);
    }

    #[test]
    fn sizes_that_cannot_be_are_the_end_of_the_list() {
        assert_eq!(read(&Pairs::new(vec![0xff; 64])), []);
        assert_eq!(
            read(&Pairs::new([vec![1, 0, 0, 0], vec![0xff; 64]].concat())),
            []
        );
    }
}
