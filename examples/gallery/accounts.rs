//! Accounts: names, passwords, and who is logged in.

use std::sync::LazyLock;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
};
use axum_extra::extract::{
    CookieJar,
    cookie::{Cookie, SameSite},
};
use blake2::{Blake2s256, Digest};
use offload_runtime::{CpuPool, Priority, offload};
use rand::{Rng, TryRngCore, rngs::OsRng};
use rusqlite::{Connection, OptionalExtension, named_params};
use serde::{Deserialize, Serialize};

use crate::{Problem, Shared, database::DB};

/// The longest name, in characters.
pub const MAX_NAME: usize = 40;
/// The shortest password, in characters.
pub const MIN_PASSWORD: usize = 8;
/// The longest password, in characters.
pub const MAX_PASSWORD: usize = 200;

/// The most log-ins under way at the same time for one name.
pub(crate) const LOG_INS: usize = 4;

const SESSION: &str = "session";
const SESSION_SECONDS: i64 = 30 * 24 * 60 * 60;

#[derive(Deserialize)]
pub(crate) struct Credentials {
    name: String,
    password: String,
}

/// Whoever sent the request. A handler that takes one is only for those who are logged in.
#[derive(Clone, Serialize)]
pub(crate) struct User {
    #[serde(skip)]
    pub(crate) id: i64,
    name: String,
}

pub(crate) async fn sign_up(
    jar: CookieJar,
    Json(Credentials { name, password }): Json<Credentials>,
) -> Result<(StatusCode, CookieJar, Json<User>), Problem> {
    let name = name.trim().to_owned();
    Problem::unless_length("A name", 1..=MAX_NAME, &name)?;
    Problem::unless_length("A password", MIN_PASSWORD..=MAX_PASSWORD, &password)?;
    let hash = hash_password(password).await?;
    let user = insert_user(name, hash).await?;
    let token = start_session(user.id).await?;
    Ok((StatusCode::CREATED, jar.add(cookie(token)), Json(user)))
}

pub(crate) async fn log_in(
    State(shared): State<Shared>,
    jar: CookieJar,
    Json(Credentials { name, password }): Json<Credentials>,
) -> Result<(CookieJar, Json<User>), Problem> {
    // Whoever guesses at one name's password leaves the others alone.
    let _turn = shared.log_ins.take(name.trim().to_lowercase()).ok_or(Problem::ManyLogIns)?;
    let (user, hash) = find_user(name).await?.unzip();
    check_password(password, hash).await?;
    let user = user.ok_or(Problem::WrongPassword)?;
    let token = start_session(user.id).await?;
    Ok((jar.add(cookie(token)), Json(user)))
}

#[offload(thread)]
pub(crate) fn log_out(
    jar: CookieJar,
    #[resource(DB)] db: &mut Connection,
) -> Result<(StatusCode, CookieJar), Problem> {
    if let Some(session) = jar.get(SESSION) {
        db.prepare_cached("DELETE FROM sessions WHERE token = ?1")?
            .execute([digest(session.value())])?;
    }
    Ok((StatusCode::NO_CONTENT, jar.remove(cookie(String::new()))))
}

pub(crate) async fn who_am_i(user: User) -> Json<User> {
    Json(user)
}

/// The same for the page, to which it is no failure that nobody is logged in.
pub(crate) async fn visitor(user: Result<User, Problem>) -> Result<Json<Option<User>>, Problem> {
    match user {
        Err(Problem::NotLoggedIn) => Ok(Json(None)),
        user => Ok(Json(Some(user?))),
    }
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<User, Problem> {
        let jar = CookieJar::from_headers(&parts.headers);
        let session = jar.get(SESSION).ok_or(Problem::NotLoggedIn)?;
        find_session(session.value().to_owned()).await
    }
}

/// A hash takes 19 MiB while it is computed, so only two are at a time. They have threads of their
/// own: nobody waits for photos who wants to log in. Two threads cannot take the machine, so they
/// compete as others do, and not at the low priority of bodies that compute for long.
static HASHES: CpuPool = CpuPool::new("hashes").threads(2).priority(Priority::Normal);

#[offload(cpu, pool = HASHES, queue = 100)]
fn hash_password(password: String) -> Result<String, Problem> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

/// Takes as long for a name that nobody has, so that the answer's time tells nothing about names.
#[offload(cpu, pool = HASHES, queue = 100)]
fn check_password(password: String, hash: Option<String>) -> Result<(), Problem> {
    static NOBODYS: LazyLock<String> = LazyLock::new(|| {
        let hash = Argon2::default().hash_password(b"nobody's password");
        hash.expect("this password can be hashed").to_string()
    });
    let hash = hash.as_ref().unwrap_or(&NOBODYS);
    match Argon2::default().verify_password(password.as_bytes(), hash.as_str()) {
        Err(argon2::password_hash::Error::PasswordInvalid) => Err(Problem::WrongPassword),
        other => Ok(other?),
    }
}

#[offload(thread)]
fn insert_user(
    name: String,
    password: String,
    #[resource(DB)] db: &mut Connection,
) -> Result<User, Problem> {
    db.prepare_cached(
        "INSERT INTO users (name, password) VALUES (:name, :password)
         ON CONFLICT DO NOTHING RETURNING id",
    )?
    .query_row(named_params! {":name": name, ":password": password}, |row| row.get(0))
    .optional()?
    .map(|id| User { id, name: name.clone() })
    .ok_or(Problem::NameTaken(name))
}

#[offload(thread)]
fn find_user(
    name: String,
    #[resource(DB)] db: &mut Connection,
) -> Result<Option<(User, String)>, Problem> {
    Ok(db
        .prepare_cached("SELECT id, name, password FROM users WHERE name = ?1")?
        .query_row([name.trim()], |row| {
            let (id, name) = (row.get(0)?, row.get(1)?);
            Ok((User { id, name }, row.get(2)?))
        })
        .optional()?)
}

/// Remembers a new session, and returns its token: 256 bits that nobody can guess.
#[offload(thread)]
fn start_session(user: i64, #[resource(DB)] db: &mut Connection) -> Result<String, Problem> {
    let mut random = OsRng.unwrap_err();
    let token = format!("{:032x}{:032x}", random.random::<u128>(), random.random::<u128>());
    db.prepare_cached("DELETE FROM sessions WHERE started < unixepoch() - ?1")?
        .execute([SESSION_SECONDS])?;
    db.prepare_cached("INSERT INTO sessions (token, user) VALUES (?1, ?2)")?
        .execute((digest(&token), user))?;
    Ok(token)
}

#[offload(thread)]
fn find_session(token: String, #[resource(DB)] db: &mut Connection) -> Result<User, Problem> {
    db.prepare_cached(
        "SELECT users.id, users.name FROM sessions JOIN users ON users.id = sessions.user
         WHERE token = ?1 AND started >= unixepoch() - ?2",
    )?
    .query_row((digest(&token), SESSION_SECONDS), |row| {
        Ok(User { id: row.get(0)?, name: row.get(1)? })
    })
    .optional()?
    .ok_or(Problem::NotLoggedIn)
}

fn digest(token: &str) -> [u8; 32] {
    Blake2s256::digest(token).into()
}

/// Behind HTTPS, where it has to be in the end, add `.secure(true)`.
fn cookie(token: String) -> Cookie<'static> {
    Cookie::build((SESSION, token)).path("/").http_only(true).same_site(SameSite::Lax).build()
}
