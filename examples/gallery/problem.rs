//! Problems: everything that can go wrong, and what the client is told about it.

use std::{fmt::Debug, io, ops::RangeInclusive, path::PathBuf};

use axum::{
    Json,
    body::to_bytes,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    MAX_BODY, MAX_TEXT,
    sandbox::{SCRIPT_MEMORY, SCRIPT_TIME},
    thumbnails::MAX_PIXELS,
};

/// Why a request is not answered as hoped. As a response it is `application/problem+json`.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says it")]
pub enum Problem {
    #[error("Log in first.")]
    NotLoggedIn,
    #[error("The name or the password is wrong.")]
    WrongPassword,
    #[error("There is no such photo among yours.")]
    NoSuchPhoto,
    #[error("The name {0:?} is taken. Choose another one.")]
    NameTaken(String),
    #[error("This is not an image that the gallery can read. It takes PNG and JPEG.")]
    NotAnImage,
    #[error(
        "The image is too large. It may have up to {} megapixels of four bytes each.",
        MAX_PIXELS / 1_000_000
    )]
    TooManyPixels,
    #[error("The image is damaged: {0}.")]
    BrokenImage(String),
    #[error("{what} must have {} to {} characters.", range.start(), range.end())]
    WrongLength { what: &'static str, range: RangeInclusive<usize> },
    #[error("The script does not work: {0}")]
    FaultyScript(String),
    #[error("The script took longer than {} seconds and was killed.", SCRIPT_TIME.as_secs())]
    EndlessScript,
    #[error(
        "The script killed the process that ran it: it used up its memory ({} MiB) or its stack.",
        SCRIPT_MEMORY >> 20
    )]
    DeadlyScript(#[source] offload_runtime::Error),
    #[error("A script of yours is running already. Wait until it has ended.")]
    ScriptIsRunning,
    #[error("Your album is on its way already. Wait until it is there, or end that download.")]
    ExportUnderWay,
    #[error("Too many try to log in with this name. Try again in a moment.")]
    ManyLogIns,
    #[error("A burst is under way. Wait until it is over.")]
    BurstUnderWay,

    #[error(transparent)]
    NotOffloaded(#[from] offload_runtime::Error),
    #[error("who was to make a thumbnail could not: {0}")]
    Maker(String),
    #[error("a thumbnail cannot be written")]
    Unwritten(#[source] image::ImageError),
    #[error("the data folder {0:?} cannot be made")]
    Folder(PathBuf, #[source] io::Error),
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
    #[error(transparent)]
    PasswordHash(#[from] argon2::password_hash::Error),
    #[error(transparent)]
    Export(#[from] zip::result::ZipError),
}

impl Problem {
    /// Checks how many characters a text has.
    pub(crate) fn unless_length(
        what: &'static str,
        range: RangeInclusive<usize>,
        text: &str,
    ) -> Result<(), Problem> {
        match range.contains(&text.chars().count()) {
            true => Ok(()),
            false => Err(Problem::WrongLength { what, range }),
        }
    }

    /// What the client is told.
    pub(crate) fn detail(&self) -> String {
        if self.status() == StatusCode::INTERNAL_SERVER_ERROR {
            // The details are for the log.
            tracing::error!("{self}");
            return "Something went wrong on our side. Try again later.".to_owned();
        }
        self.to_string()
    }

    fn status(&self) -> StatusCode {
        match self {
            Problem::NotLoggedIn | Problem::WrongPassword => StatusCode::UNAUTHORIZED,
            Problem::NoSuchPhoto => StatusCode::NOT_FOUND,
            Problem::NameTaken(_) => StatusCode::CONFLICT,
            Problem::NotAnImage => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Problem::TooManyPixels
            | Problem::BrokenImage(_)
            | Problem::WrongLength { .. }
            | Problem::FaultyScript(_)
            | Problem::DeadlyScript(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Problem::EndlessScript => StatusCode::GATEWAY_TIMEOUT,
            Problem::ScriptIsRunning
            | Problem::ExportUnderWay
            | Problem::ManyLogIns
            | Problem::BurstUnderWay => StatusCode::TOO_MANY_REQUESTS,
            Problem::NotOffloaded(_)
            | Problem::Maker(_)
            | Problem::Unwritten(_)
            | Problem::Folder(..)
            | Problem::Database(_)
            | Problem::PasswordHash(_)
            | Problem::Export(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Too busy, or too late: this error knows its own answer.
        if let Problem::NotOffloaded(error) = self {
            return error.into_response();
        }
        respond(self.status(), &self.detail())
    }
}

/// Brings what axum and its layers refuse (malformed JSON, a body over the limit) into the same
/// form. What else their answers say (when to try again, which methods there are) stays.
pub(crate) async fn unify(response: Response) -> Response {
    let status = response.status();
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let plain = media_type.is_none_or(|text| text.as_bytes().starts_with(b"text/plain"));
    if !plain || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let detail = match status {
        StatusCode::NOT_FOUND => "There is nothing at this address.".to_owned(),
        StatusCode::METHOD_NOT_ALLOWED => "This address takes other methods.".to_owned(),
        StatusCode::FORBIDDEN => "The request comes from the page of another site.".to_owned(),
        StatusCode::REQUEST_TIMEOUT => "The request took too long and was given up.".to_owned(),
        StatusCode::PAYLOAD_TOO_LARGE => {
            let (photo, text) = (MAX_BODY / 1024 / 1024, MAX_TEXT / 1000);
            format!("A photo may have up to {photo} MiB, anything else {text} kB.")
        }
        _ => {
            let text = to_bytes(body, MAX_TEXT).await.unwrap_or_default();
            String::from_utf8_lossy(&text).into_owned()
        }
    };
    let (problem, body) = respond(status, &detail).into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.extend(problem.headers);
    Response::from_parts(head, body)
}

fn respond(status: StatusCode, detail: &str) -> Response {
    let problem = Json(json!({
        "title": status.canonical_reason(),
        "detail": detail,
        "status": status.as_u16(),
    }));
    let media_type = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, media_type, problem).into_response()
}
