//! How a page looks: in the light and in the dark, on a phone and on a desk.

use super::chromium::Chromium;

/// What people look at it with. The last one is what the tests go on with.
pub(crate) const LOOKS: [(&str, u32, u32); 4] =
    [("light", 400, 844), ("dark", 400, 844), ("dark", 1280, 1000), ("light", 1280, 1000)];

/// Texts that are too faint for what is behind them, by WCAG's levels for AA: 4.5 to 1, and 3 to 1 for large
/// ones. What cannot be used just now need not be read.
const FAINT: &str = "(() => {
    const pixel = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const parts = (color) => {
        pixel.clearRect(0, 0, 1, 1);
        pixel.fillStyle = color;
        pixel.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = pixel.getImageData(0, 0, 1, 1).data;
        return [red, green, blue, alpha / 255];
    };
    const over = ([red, green, blue, alpha], below) =>
        [red, green, blue].map((part, n) => part * alpha + below[n] * (1 - alpha));
    const behind = (element) => element
        ? over(parts(getComputedStyle(element).backgroundColor), behind(element.parentElement))
        : [255, 255, 255];
    const opacity = (element) =>
        element ? getComputedStyle(element).opacity * opacity(element.parentElement) : 1;
    const luminance = (color) => {
        const linear = (part) => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
        const [red, green, blue] = color.map((part) => linear(part / 255));
        return .2126 * red + .7152 * green + .0722 * blue;
    };
    const contrast = (element) => {
        const [red, green, blue, alpha] = parts(getComputedStyle(element).color);
        const back = behind(element);
        const ink = over([red, green, blue, alpha * opacity(element)], back);
        const [dark, bright] = [ink, back].map(luminance).sort((one, other) => one - other);
        return (bright + .05) / (dark + .05);
    };
    const least = (element) => {
        const { fontSize, fontWeight } = getComputedStyle(element);
        return parseFloat(fontSize) >= (fontWeight >= 700 ? 18.66 : 24) ? 3 : 4.5;
    };
    const text = (element) =>
        [...element.childNodes].map((node) => node.nodeType === Node.TEXT_NODE ? node.data.trim() : '').join('');
    return [...document.body.querySelectorAll('*')]
        .filter((element) => text(element) && element.checkVisibility({ opacityProperty: true }))
        .filter((element) => !element.closest('[aria-disabled]') && contrast(element) < least(element))
        .map((element) => `${text(element).slice(0, 40)}: ${contrast(element).toFixed(2)} to 1`);
})()";

impl Chromium {
    /// Nothing has to be moved sideways to be read, neither the page nor a table in it; and all texts can be
    /// told from what is behind them.
    pub(crate) async fn can_be_read(&self, what: &str) {
        let parts = "[document.documentElement, ...document.querySelectorAll('section > div')]";
        let fits = "(part) => part.scrollWidth <= part.clientWidth";
        assert_eq!(self.get(&format!("{parts}.every({fits})")).await, true, "too wide: {what}");
        let faint = self.get(FAINT).await;
        assert_eq!(faint.as_array().unwrap().len(), 0, "too faint: {what}: {faint}");
    }

    /// The same, however it is looked at.
    pub(crate) async fn can_be_read_everywhere(&self, what: &str) {
        for (scheme, width, height) in LOOKS {
            self.look(scheme, width, height).await;
            self.can_be_read(&format!("{what}, {scheme}, {width} pixels")).await;
        }
    }
}
