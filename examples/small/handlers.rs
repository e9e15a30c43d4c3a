//! Synchronous functions as axum handlers: `cargo run --example handlers`, then
//! `curl localhost:3000/primes/20000`.

use axum::{Json, Router, extract::Path, http::StatusCode, routing::get};
use offload_runtime::offload;
use tokio::net::TcpListener;

#[offload(cpu)]
fn primes(Path(below): Path<u32>) -> Json<Vec<u32>> {
    let is_prime = |n: &u32| !(2..*n).any(|d| n.is_multiple_of(d));
    Json((2..below).filter(is_prime).collect())
}

#[offload(thread)]
fn host_name() -> Result<String, (StatusCode, String)> {
    std::fs::read_to_string("/etc/hostname")
        .map_err(|error| (StatusCode::NOT_FOUND, error.to_string()))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let app = Router::new().route("/primes/{below}", get(primes)).route("/host", get(host_name));
    axum::serve(TcpListener::bind("127.0.0.1:3000").await?, app).await
}
