//! Thumbnails: what this application computes.

use std::io::Cursor;

use axum::body::Bytes;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};
use offload_runtime::{check_cancelled, offload};

use crate::Problem;

/// No side of a thumbnail is longer, in pixels.
pub const LONGEST_SIDE: u32 = 320;
/// A photo with more pixels is refused before it is decoded: a file of a few bytes can claim
/// dimensions that fill the memory.
pub const MAX_PIXELS: u64 = 40_000_000;

/// A small picture, and what is known about the large one.
pub(crate) struct Thumbnail {
    pub(crate) media_type: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) bytes: Vec<u8>,
}

/// Also the check whether a photo is one: a file is an image if it can be decoded.
#[offload(cpu, timeout = "10s")]
pub(crate) fn make_thumbnail(photo: Bytes) -> Result<Thumbnail, Problem> {
    let (mut image, format) = decode(photo)?;
    let (width, height) = (image.width(), image.height());
    check_cancelled()?; // the client may have gone meanwhile

    if width.max(height) > LONGEST_SIDE {
        image = image.thumbnail(LONGEST_SIDE, LONGEST_SIDE);
    }
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), format)?;
    Ok(Thumbnail { media_type: format.to_mime_type(), width, height, bytes })
}

/// The pixels of a photo, upright, and what the file was.
pub(crate) fn decode(photo: Bytes) -> Result<(DynamicImage, ImageFormat), Problem> {
    let reader =
        ImageReader::new(Cursor::new(photo)).with_guessed_format().expect("memory can be read");
    let format = reader.format().ok_or(Problem::NotAnImage)?;

    let mut decoder = reader.into_decoder()?; // reads the header, no pixels
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Problem::TooManyPixels);
    }
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation); // a camera held upright says so in a tag
    Ok((image, format))
}

impl From<ImageError> for Problem {
    fn from(error: ImageError) -> Problem {
        match error {
            ImageError::Unsupported(_) => Problem::NotAnImage,
            ImageError::Limits(_) => Problem::TooManyPixels,
            error => Problem::BrokenImage(error),
        }
    }
}
