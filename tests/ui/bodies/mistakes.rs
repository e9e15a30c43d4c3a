// Mistakes in bodies, each a program of its own from one line with `//#` to the next. What the
// compiler says of each is in `mistakes.snap`, with the attribute and without.

//# no last expression
#[offload(cpu)]
fn no_tail(x: u32) -> u32 {
    let y = x + 1;
}

//# a semicolon after the last expression
#[offload(cpu)]
fn semicolon(x: u32) -> u32 {
    x + 1;
}

//# a value in a function without a result
#[offload(cpu)]
fn value(x: u32) {
    x + 1
}

//# a value where the result is a unit
#[offload(cpu)]
fn unit(x: u32) -> () {
    x + 1
}

//# a question mark in a function without a result
#[offload(cpu)]
fn question_mark(text: String) {
    let number: u32 = text.parse()?;
    drop(number);
}

//# a question mark on another error
#[offload(cpu)]
fn other_error(text: String) -> Result<u32, std::io::Error> {
    Ok(text.parse::<u32>()?)
}

//# a question mark on an option where the result is a result
#[offload(cpu)]
fn option(values: Vec<u32>) -> Result<u32, String> {
    Ok(*values.first()?)
}

//# `break` outside of a loop
#[offload(cpu)]
fn breaks(x: u32) -> u32 {
    if x > 1 {
        break;
    }
    x
}

//# `continue` outside of a loop
#[offload(cpu)]
fn continues(x: u32) -> u32 {
    continue;
    x
}

//# a label that is not there
#[offload(cpu)]
fn label(x: u32) -> u32 {
    loop {
        break 'outer;
    }
}

//# a result of another type
#[offload(cpu)]
fn other_type(x: u32) -> String {
    x
}

//# an early return of another type
#[offload(cpu)]
fn early_return(x: u32) -> String {
    if x == 0 {
        return 1;
    }
    String::new()
}

//# a return without a value
#[offload(cpu)]
fn return_nothing(x: u32) -> String {
    if x == 0 {
        return;
    }
    String::new()
}

//# a return with a value where there is none
#[offload(cpu)]
fn return_something(x: u32) {
    return x;
}

//# branches of two types
#[offload(cpu)]
fn branches(x: u32) -> u32 {
    if x == 0 { 1 } else { "a" }
}

//# `if` without `else`
#[offload(cpu)]
fn no_else(x: u32) -> u32 {
    if x == 0 { 1 }
}

//# a match that leaves something out
#[offload(cpu)]
fn half_a_match(x: Option<u32>) -> u32 {
    match x {
        Some(x) => x,
    }
}

//# an `Ok` that is missing
#[offload(cpu)]
fn no_ok(x: u32) -> Result<u32, String> {
    x
}

//# a name that is not there
#[offload(cpu)]
fn no_name(count: u32) -> u32 {
    counts + 1
}

//# a type that is not there
#[offload(cpu)]
fn no_type(x: Missing) -> u32 {
    1
}

//# a result type that is not there
#[offload(cpu)]
fn no_result_type(x: u32) -> Missing {
    x
}

//# a method that is not there
#[offload(cpu)]
fn no_method(text: String) -> usize {
    text.length()
}

//# an argument that is used after it was moved
#[offload(cpu)]
fn moved(text: String) -> usize {
    drop(text);
    text.len()
}

//# an argument that is not mutable
#[offload(cpu)]
fn not_mutable(values: Vec<u32>) -> Vec<u32> {
    values.push(1);
    values
}

//# a borrow of an argument in the result
#[offload(cpu)]
fn borrow(text: String) -> &'static str {
    &text
}

//# a borrow that lasts too long
#[offload(cpu)]
fn too_long() -> usize {
    let longest;
    {
        let text = String::from("a");
        longest = &text;
    }
    longest.len()
}

//# something unsafe
#[offload(cpu)]
fn not_safe(pointer: usize) -> u8 {
    *(pointer as *const u8)
}

//# a number that does not fit
#[offload(cpu)]
fn too_large(x: u8) -> u8 {
    x + 256
}

//# a type that cannot be known
#[offload(cpu)]
fn unknown_type(text: String) -> usize {
    let values = text.chars().collect();
    values.len()
}

//# a bound that is missing
#[offload(cpu)]
fn no_bound<T: Send + 'static>(value: T) -> String {
    value.to_string()
}

//# a closure without types, where the result says them
#[offload(cpu)]
fn closure() -> impl Fn(String) -> usize + Send {
    |text| text.length()
}

//# a pattern that does not fit
#[offload(cpu)]
fn pattern((a, b, c): (u32, u32)) -> u32 {
    a + b + c
}

//# a call of itself
#[offload(cpu)]
fn calls_itself(n: u32) -> u32 {
    if n == 0 { 0 } else { calls_itself(n - 1) + 1 }
}

//# `.await`
#[offload(cpu)]
fn awaits() -> u32 {
    std::future::ready(1).await
}

//# lent, and changed
#[offload(cpu)]
fn lent(#[to_owned] values: &[u32]) -> usize {
    values.push(1);
    values.len()
}

//# lent, and given away
#[offload(cpu)]
fn lent_away(#[to_owned] text: &String) -> String {
    *text
}

//# in a method: no last expression
impl Store {
    #[offload(cpu)]
    fn no_tail(self) -> u32 {
        let y = self.count + 1;
    }
}

//# in a method: a value where there is no result
impl Store {
    #[offload(cpu)]
    fn value(self) {
        self.count + 1
    }
}

//# in a method: a question mark without a result
impl Store {
    #[offload(cpu)]
    fn question_mark(self) {
        let number: u32 = self.name.parse()?;
        drop(number);
    }
}

//# in a method: `break` outside of a loop
impl Store {
    #[offload(cpu)]
    fn breaks(self) -> u32 {
        break;
    }
}

//# in a method: a result of another type
impl Store {
    #[offload(cpu)]
    fn other_type(self) -> u32 {
        self.name
    }
}

//# in a method: a return of another type
impl Store {
    #[offload(cpu)]
    fn early_return(self) -> u32 {
        if self.count == 1 {
            return self.name;
        }
        1
    }
}

//# in a method: a field that is not there
impl Store {
    #[offload(cpu)]
    fn no_field(self) -> u32 {
        self.counts
    }
}

//# in a method: a `self` that is not mutable
impl Store {
    #[offload(cpu)]
    fn not_mutable(self) -> u32 {
        self.count += 1;
        self.count
    }
}

//# in a method: a `self` that was moved
impl Store {
    #[offload(cpu)]
    fn moved(self) -> u32 {
        drop(self);
        self.count
    }
}

//# in a method of a copy: a change
impl Store {
    #[offload(cpu)]
    fn changes(#[to_owned] &self) {
        self.count = 1;
    }
}

//# in a method of a copy: a field that is moved out
impl Store {
    #[offload(cpu)]
    fn moves_out(#[to_owned] &self) -> String {
        self.name
    }
}

//# in a method of a copy: a method that is not there
impl Store {
    #[offload(cpu)]
    fn no_method(#[to_owned] &self) -> u32 {
        self.counts()
    }
}

//# in a method of a copy: no last expression
impl Store {
    #[offload(cpu)]
    fn nothing(#[to_owned] &self) -> u32 {
        self.count;
    }
}

//# in a function of a type: no last expression
impl Store {
    #[offload(cpu)]
    fn open(name: String) -> Self {
        Self { name, count: 1 };
    }
}

//# in another process: no last expression
#[offload(process)]
fn no_tail(x: u32) -> Result<u32, Error> {
    let y = x + 1;
}

//# in another process: a result of another type
#[offload(process)]
fn other_type(x: u32) -> Result<u32, Error> {
    x
}

//# in another process: a question mark on another error
#[offload(process)]
fn other_error(text: String) -> Result<u32, Error> {
    Ok(text.parse::<bool>()?)
}

//# in another process: a name that is not there
#[offload(process)]
fn no_name(count: u32) -> Result<u32, Error> {
    Ok(counts + 1)
}

//# in another process: `break` outside of a loop
#[offload(process)]
fn breaks(x: u32) -> Result<u32, Error> {
    break;
}

//# on a thread: no last expression
#[offload(thread)]
fn no_tail(x: u32) -> u32 {
    let y = x + 1;
}

//# on a thread, with all that calls have: a question mark without a result
#[offload(thread, limit = 4, spawn = soon, detach)]
fn question_mark(text: String) {
    let number: u32 = text.parse()?;
    drop(number);
}

//# with a deadline: a result of another type
#[offload(cpu, timeout = "1s")]
fn other_type(x: u32) -> Result<u32, Error> {
    x
}

//# in a private method: a call of itself
impl Store {
    #[offload(cpu)]
    fn calls_itself(self) -> u32 {
        self.calls_itself() + 1
    }
}

//# in a function that is refused: a question mark without a result
#[offload(thread, queue = 8)]
fn question_mark(text: String) {
    let number: u32 = text.parse()?;
    drop(number);
}
