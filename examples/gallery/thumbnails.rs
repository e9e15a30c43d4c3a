//! Thumbnails: what this application computes.

use std::io::Cursor;

use axum::body::Bytes;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, metadata::Orientation,
};
use offload_runtime::{Limiter, check_cancelled, offload};
use serde::{Deserialize, Serialize};

use crate::Problem;

/// No side of a thumbnail is longer, in pixels.
pub const LONGEST_SIDE: u32 = 320;
/// A photo with more pixels is refused before it is decoded: a file of a few bytes can claim
/// dimensions that fill the memory.
pub const MAX_PIXELS: u64 = 16_000_000;
/// The most that they may take when they are decoded, in bytes. Most formats have 3 or 4 for a
/// pixel, some have 8.
const MAX_DECODED: u64 = 4 * MAX_PIXELS;
/// The most that a file may have beside its pixels, in bytes: a colour profile, say, which is packed.
const MAX_BESIDE: u64 = 4 << 20;

/// A photo takes up to eleven bytes a pixel while it is decoded, so only two are at a time, however
/// many cores there are.
pub(crate) static DECODERS: Limiter = Limiter::new(2);

/// A small picture, and what is known about the large one.
#[derive(Serialize, Deserialize)]
pub(crate) struct Thumbnail {
    pub(crate) media_type: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Also the check whether a photo is one: a file is an image if it can be decoded.
#[offload(cpu, limit = DECODERS, timeout = "30s", sync = thumbnail_of)]
pub(crate) fn make_thumbnail(photo: Bytes) -> Result<Thumbnail, Problem> {
    let Decoded { mut image, format, orientation } = decode(photo)?;
    check_cancelled()?; // the client may have gone meanwhile

    let (mut width, mut height) = (image.width(), image.height());
    if width.max(height) > LONGEST_SIDE {
        image = image.thumbnail(LONGEST_SIDE, LONGEST_SIDE);
    }
    image.apply_orientation(orientation);
    if on_its_side(orientation) {
        (width, height) = (height, width);
    }
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), format)?;
    Ok(Thumbnail { media_type: format.to_mime_type().to_owned(), width, height, bytes })
}

/// A photo as it lies in its file.
pub(crate) struct Decoded {
    pub(crate) image: DynamicImage,
    pub(crate) format: ImageFormat,
    /// How it has to be turned: a camera held upright says so in a tag. Turn what was made of the
    /// image, which is small: it is copied for that.
    pub(crate) orientation: Orientation,
}

/// Whether width and height change places when it is turned.
pub(crate) fn on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate90FlipH | Rotate270 | Rotate270FlipH)
}

pub(crate) fn decode(photo: Bytes) -> Result<Decoded, Problem> {
    let mut reader =
        ImageReader::new(Cursor::new(photo)).with_guessed_format().expect("memory can be read");
    let format = reader.format().ok_or(Problem::NotAnImage)?;
    // Set before there is a decoder: what is beside the pixels is read when one is made.
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BESIDE);
    reader.limits(limits);

    let mut decoder = reader.into_decoder()?; // reads the header, no pixels
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS || decoder.total_bytes() > MAX_DECODED {
        return Err(Problem::TooManyPixels);
    }
    let orientation = decoder.orientation()?;
    Ok(Decoded { image: DynamicImage::from_decoder(decoder)?, format, orientation })
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Problem {
        match error {
            ImageError::Unsupported(_) => Problem::NotAnImage,
            ImageError::Limits(_) => Problem::TooManyPixels,
            ImageError::Encoding(_) => Problem::Unwritten(error),
            error => Problem::BrokenImage(error.to_string()),
        }
    }
}
