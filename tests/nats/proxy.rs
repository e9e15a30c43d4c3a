//! A network between a server and its clients that can fail: connections go through a process that
//! forwards what it reads, slower if the test wants that, or not.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// See the [module](self).
pub(crate) struct Proxy {
    /// What the clients say.
    pub(crate) to_server: Arc<Direction>,
    /// What the server says.
    pub(crate) to_client: Arc<Direction>,
    is_cut: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

/// What goes from the client to the server, or back.
pub(crate) struct Direction {
    speed: Mutex<Speed>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq)]
enum Speed {
    AtOnce,
    /// So many bytes a second.
    Slow(u32),
    /// Nothing is read any more, and nobody is told.
    Stopped,
}

impl Proxy {
    pub(crate) fn start(port: u16, server: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let proxy = Proxy {
            to_server: Arc::new(Direction::new()),
            to_client: Arc::new(Direction::new()),
            is_cut: Arc::default(),
            connections: Arc::default(),
        };
        let (is_cut, connections) = (Arc::clone(&proxy.is_cut), Arc::clone(&proxy.connections));
        let (to_server, to_client) = (Arc::clone(&proxy.to_server), Arc::clone(&proxy.to_client));
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                // The server may be down.
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else {
                    continue;
                };
                let twice = |stream: &TcpStream| stream.try_clone().unwrap();
                connections.lock().unwrap().extend([twice(&client), twice(&server)]);
                forward(twice(&client), twice(&server), &to_server);
                forward(server, client, &to_client);
            }
        });
        proxy
    }

    /// From now on all connections are closed, and new ones at once.
    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for connection in self.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }

    /// From now on nothing gets through, and nobody is told.
    pub(crate) fn stop(&self) {
        self.to_server.stop();
        self.to_client.stop();
    }

    /// All that is kept gets through, and what follows.
    pub(crate) fn go_on(&self) {
        self.to_server.go_on();
        self.to_client.go_on();
    }
}

impl Direction {
    fn new() -> Direction {
        Direction { speed: Mutex::new(Speed::AtOnce), changed: Condvar::new() }
    }

    pub(crate) fn stop(&self) {
        self.set(Speed::Stopped);
    }

    pub(crate) fn go_on(&self) {
        self.set(Speed::AtOnce);
    }

    /// So many bytes a second get through.
    pub(crate) fn slow_down(&self, rate: u32) {
        self.set(Speed::Slow(rate));
    }

    fn set(&self, speed: Speed) {
        *self.speed.lock().unwrap() = speed;
        self.changed.notify_all();
    }

    /// Waits until so many bytes may go on.
    fn wait(&self, bytes: usize) {
        let speed = self.speed.lock().unwrap();
        let speed = *self.changed.wait_while(speed, |speed| *speed == Speed::Stopped).unwrap();
        if let Speed::Slow(rate) = speed {
            let bytes = u32::try_from(bytes).unwrap();
            thread::sleep(Duration::from_secs(1) * bytes / rate);
        }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, direction: &Arc<Direction>) {
    let direction = Arc::clone(direction);
    thread::spawn(move || {
        let mut room = [0; 16 << 10];
        while let Ok(bytes) = from.read(&mut room) {
            direction.wait(bytes);
            if bytes == 0 || to.write_all(&room[..bytes]).is_err() {
                break;
            }
        }
        // The other side is told, if this is not a partition.
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}
