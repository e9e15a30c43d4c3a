//! Events (provisional).
pub(crate) fn install(_send: fn(&[u8])) {}
pub(crate) fn set_level(_level: u8) {}
pub(crate) fn level() -> u8 {
    0
}
pub(crate) struct Replay;
impl Replay {
    pub(crate) fn new() -> Replay {
        Replay
    }
    pub(crate) fn replay(&mut self, _bytes: &[u8]) {}
}
