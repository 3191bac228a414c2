//! Writing a message's small pieces with the cheaper system call.
//!
//! The kernel takes one buffer by `send` for less than one or two by `writev` (some 0.3 µs of 8 on loopback), and a
//! head with a small body is the usual message. Knows no connection; whoever writes asks for the pieces as one.

use std::io::IoSlice;

/// Most bytes that are worth copying together.
pub(crate) const SMALL: usize = 2_048;

/// The pieces as one: the only one that is not empty, or a copy of all in `room`. `None` when they are too much for
/// that, and nothing is lost by writing them as they are.
pub(crate) fn as_one<'a>(slices: &'a [IoSlice<'_>], room: &'a mut [u8; SMALL]) -> Option<&'a [u8]> {
    let mut filled = slices.iter().filter(|slice| !slice.is_empty());
    let (first, second) = (filled.next(), filled.next());
    if second.is_none() {
        return Some(first.map_or(&[], |slice| slice));
    }
    let mut end = 0_usize;
    for slice in slices {
        let start = end;
        end = start.checked_add(slice.len())?;
        room.get_mut(start..end)?.copy_from_slice(slice);
    }
    room.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_become_one() {
        let cases: [(&[&[u8]], &[u8]); 4] = [
            (&[], b""),
            (&[b"head"], b"head"),
            (&[b"", b"head", b""], b"head"),
            (&[b"head", b"", b"body"], b"headbody"),
        ];
        for (pieces, whole) in cases {
            let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            assert_eq!(as_one(&slices, &mut [0; SMALL]), Some(whole));
        }
    }

    #[test]
    fn a_single_piece_is_never_copied_and_large_ones_never_joined() {
        let large = vec![7; SMALL];
        let alone = [IoSlice::new(&large)];
        let mut room = [0; SMALL];
        assert_eq!(
            as_one(&alone, &mut room).map(<[u8]>::as_ptr),
            Some(large.as_ptr())
        );
        assert!(as_one(&[IoSlice::new(&large), IoSlice::new(b"")], &mut room).is_some());
        assert_eq!(
            as_one(&[IoSlice::new(&large), IoSlice::new(b"x")], &mut room),
            None
        );
        assert!(as_one(&[IoSlice::new(&large[1..]), IoSlice::new(b"x")], &mut room).is_some());
    }
}
