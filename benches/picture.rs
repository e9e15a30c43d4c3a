//! Bar charts as SVG, written by hand: a few rectangles need no library.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Bars in groups.
#[derive(Debug)]
pub struct Bars<'a> {
    /// Above the picture.
    pub title: &'a str,
    /// What the bars of each group are.
    pub series: Vec<&'a str>,
    /// A name, and a value for each of the series.
    pub groups: Vec<(String, Vec<f64>)>,
    /// Whether ten times as much is one step up, for what spans much.
    pub logarithmic: bool,
}

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;

/// Told apart also without seeing colours: light and dark in turn.
const COLOURS: [&str; 9] = [
    "#0b6e4f", "#6fcf97", "#b23a48", "#f2a7a7", "#9b6a00", "#f2c94c", "#2f4b7c", "#a9bcd0", "#777",
];

impl Bars<'_> {
    /// The picture.
    pub fn draw(&self) -> String {
        let mut svg = String::new();
        let legend = TOP + HEIGHT + 30.0;
        let rows = self.series.len().div_ceil(4) as f64;
        let height = legend + rows * 18.0 + 10.0;
        let _ = write!(
            svg,
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12"><rect width="{WIDTH}" height="{height}" fill="#fff"/><text x="{LEFT}" y="22" font-size="15">{}</text>"##,
            self.title
        );
        for mark in self.marks() {
            let y = TOP + HEIGHT * (1.0 - self.share(mark));
            let _ = write!(
                svg,
                r##"<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1}" y2="{y:.1}" stroke="#ddd"/><text x="{}" y="{:.1}" text-anchor="end">{mark}</text>"##,
                LEFT - 6.0,
                y + 4.0
            );
        }
        let group_width = (WIDTH - LEFT) / self.groups.len() as f64;
        let bar_width = group_width * 0.85 / self.series.len() as f64;
        for (number, (name, values)) in self.groups.iter().enumerate() {
            let from = LEFT + group_width * (number as f64 + 0.075);
            for (at, value) in values.iter().enumerate() {
                let tall = HEIGHT * self.share(*value);
                let _ = write!(
                    svg,
                    r#"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{tall:.1}" fill="{}"><title>{}: {value:.3}</title></rect>"#,
                    from + bar_width * at as f64,
                    TOP + HEIGHT - tall,
                    bar_width * 0.92,
                    COLOURS[at % COLOURS.len()],
                    self.series[at]
                );
            }
            let _ = write!(
                svg,
                r#"<text x="{:.1}" y="{:.1}" text-anchor="middle">{name}</text>"#,
                from + group_width * 0.425,
                TOP + HEIGHT + 16.0
            );
        }
        for (at, name) in self.series.iter().enumerate() {
            let (x, y) = (LEFT + (at % 4) as f64 * 225.0, legend + (at / 4) as f64 * 18.0);
            let _ = write!(
                svg,
                r#"<rect x="{x}" y="{y}" width="12" height="12" fill="{}"/><text x="{}" y="{}">{name}</text>"#,
                COLOURS[at % COLOURS.len()],
                x + 17.0,
                y + 10.5
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.groups.iter().flat_map(|(_, values)| values.iter().copied())
    }

    /// The lowest and the highest value of the axis.
    fn bounds(&self) -> (f64, f64) {
        let most = self.values().fold(f64::MIN_POSITIVE, f64::max);
        if self.logarithmic {
            let least = self.values().filter(|value| *value > 0.0).fold(most, f64::min);
            return (10_f64.powf(least.log10().floor()), 10_f64.powf(most.log10().ceil()));
        }
        (0.0, most)
    }

    /// How far up the picture this value is.
    fn share(&self, value: f64) -> f64 {
        let (least, most) = self.bounds();
        if self.logarithmic {
            return ((value / least).log10() / (most / least).log10()).clamp(0.0, 1.0);
        }
        value / most
    }

    /// Where the axis has lines.
    fn marks(&self) -> Vec<f64> {
        let (least, most) = self.bounds();
        if self.logarithmic {
            return std::iter::successors(Some(least), |mark| Some(mark * 10.0))
                .take_while(|mark| *mark <= most * 1.01)
                .map(|mark| (mark * 1e6).round() / 1e6)
                .collect();
        }
        let step = 10_f64.powf((most / 4.0).log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * step);
        let step = step.into_iter().find(|step| most / step <= 6.0).unwrap_or(most);
        (0..=(most / step) as u32).map(|number| f64::from(number) * step).collect()
    }
}

/// Writes a picture beside the results page.
pub fn save(name: &str, svg: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pictures").join(name);
    fs::write(&path, svg).expect("the folder benches/pictures");
    println!("\n(written: benches/pictures/{name})");
}
