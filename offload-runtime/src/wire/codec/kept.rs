//! Values that are written before there is a message for them.

use std::borrow::Cow;

use super::primitives::{BESIDE, Run, Target, run};
use super::problem::Problem;

/// See the [module](self). Long bytes in them can go beside that message, too: they are copied once, to here.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    bytes: Vec<u8>,
    /// With where what is said of them begins in the bytes.
    blobs: Vec<(usize, Vec<u8>)>,
}

impl Target for Kept {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn taken(&mut self) -> Option<&mut Vec<u8>> {
        Some(&mut self.bytes)
    }

    fn has_room_beside(&self, length: usize) -> bool {
        u32::try_from(length).is_ok()
    }

    fn put_blob<'a>(&mut self, bytes: Cow<'a, [u8]>) -> Result<u32, Cow<'a, [u8]>> {
        let Ok(number) = u32::try_from(self.blobs.len()) else { return Err(bytes) };
        self.blobs.push((self.bytes.len(), bytes.into_owned()));
        Ok(number)
    }
}

impl Kept {
    /// Writes them to a message, beside which long bytes may have numbers of their own, or cannot go.
    pub(super) fn put_to<W: Target>(&self, to: &mut W) -> Result<(), Problem> {
        let mut done = 0;
        for (at, blob) in &self.blobs {
            to.put(&self.bytes[done..*at]);
            done = at + BESIDE;
            let kind = Run::of_mark(self.bytes[at + 2]).expect("it was put there with its blob");
            run(to, kind, blob.as_slice().into())?;
        }
        to.put(&self.bytes[done..]);
        Ok(())
    }
}
