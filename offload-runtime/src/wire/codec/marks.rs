//! The bytes that say what follows, as MessagePack has them.

/// `None`, and `()`.
pub(super) const NIL: u8 = 0xc0;
pub(super) const FALSE: u8 = 0xc2;
pub(super) const TRUE: u8 = 0xc3;

/// Bytes; a length of one, two or four bytes follows, the big end first, as wherever there are three.
pub(super) const BYTES: [u8; 3] = [0xc4, 0xc5, 0xc6];

/// A value of a kind of its own: the length, then the kind.
pub(super) const EXTENSION: [u8; 3] = [0xc7, 0xc8, 0xc9];

/// The kind of a list of which every element is a `u8`: they follow as they are.
pub(super) const NUMBERS: u8 = 1;

/// The kinds of what goes beside the message, its number follows in four bytes: bytes, a text, and a list
/// of which every element is a `u8`.
pub(super) const BLOB: u8 = 2;
pub(super) const TEXT_BLOB: u8 = 3;
pub(super) const NUMBERS_BLOB: u8 = 4;

pub(super) const F32: u8 = 0xca;
pub(super) const F64: u8 = 0xcb;
/// Whole numbers of one, two, four and eight bytes.
pub(super) const UNSIGNED: [u8; 4] = [0xcc, 0xcd, 0xce, 0xcf];
pub(super) const SIGNED: [u8; 4] = [0xd0, 0xd1, 0xd2, 0xd3];

/// A text of up to 31 bytes, a list and a map of up to 15 elements: the length is added.
pub(super) const SHORT_TEXT: u8 = 0xa0;
pub(super) const SHORT_LIST: u8 = 0x90;
pub(super) const SHORT_MAP: u8 = 0x80;

pub(super) const TEXT: [u8; 3] = [0xd9, 0xda, 0xdb];
/// The number of elements follows, in two or four bytes.
pub(super) const LIST: [u8; 2] = [0xdc, 0xdd];
pub(super) const MAP: [u8; 2] = [0xde, 0xdf];
