//! Photos for the album: hills in the light of some hour, painted for the test.

use std::{fs::File, io::BufWriter, path::Path};

use image::{DynamicImage, Rgb, RgbImage, codecs::jpeg::JpegEncoder, imageops::FilterType};

/// Sky above, sky at the horizon, the nearest hill.
type Light = [[f32; 3]; 3];

pub(crate) const DAWN: Light = [[92.0, 98.0, 158.0], [250.0, 190.0, 160.0], [38.0, 32.0, 62.0]];
pub(crate) const NOON: Light = [[74.0, 148.0, 214.0], [214.0, 234.0, 240.0], [30.0, 78.0, 62.0]];
pub(crate) const DUSK: Light = [[60.0, 40.0, 92.0], [244.0, 140.0, 78.0], [40.0, 20.0, 38.0]];
pub(crate) const NIGHT: Light = [[12.0, 20.0, 48.0], [66.0, 92.0, 138.0], [8.0, 14.0, 28.0]];

/// Paints one into a JPEG file.
pub(crate) fn paint(file: &Path, light: Light, width: u32, height: u32, seed: f32) {
    const HILLS: u8 = 5;
    const COARSE: u32 = 3; // painted smaller, since this is not optimised, and enlarged
    let [wide, high] = [width, height].map(|side| side / COARSE);
    let [above, horizon, near] = light;
    let size = [wide, high].map(|side| f32::from(u16::try_from(side).unwrap()));
    let sun = [0.25 + 0.5 * (seed * 0.7).fract(), 0.42];
    let picture = RgbImage::from_fn(wide, high, |x, y| {
        let [x, y] = [x, y].map(|at| f32::from(u16::try_from(at).unwrap()));
        let [x, y] = [x / size[0], y / size[1]];
        let nearest = (1..=HILLS).rev().map(f32::from).find(|hill| {
            let wave = |stretch: f32| (x * stretch + seed * hill * 2.3).sin();
            let top = 0.38 + 0.1 * hill - 0.05 * wave(5.0 + hill) - 0.02 * wave(17.0);
            y > top
        });
        let colour = match nearest {
            Some(hill) => mix(horizon, near, hill / f32::from(HILLS)),
            None => {
                let [dx, dy] = [(x - sun[0]) * size[0] / size[1], y - sun[1]];
                let far = (dx * dx + dy * dy).sqrt();
                let sky = mix(above, horizon, (y / 0.55).min(1.0));
                mix([255.0, 244.0, 214.0], sky, ((far - 0.055) * 9.0).clamp(0.0, 1.0).sqrt())
            }
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a mix of colours is one"
        )]
        Rgb(colour.map(|part| part as u8))
    });
    let picture = DynamicImage::from(picture).resize_exact(width, height, FilterType::CatmullRom);
    let file = BufWriter::new(File::create(file).unwrap());
    picture.write_with_encoder(JpegEncoder::new_with_quality(file, 90)).unwrap();
}

fn mix(from: [f32; 3], to: [f32; 3], part: f32) -> [f32; 3] {
    std::array::from_fn(|n| from[n] + (to[n] - from[n]) * part)
}
