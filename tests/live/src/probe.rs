//! One anonymous question to a server that is starting: does it answer, and with which words.
//!
//! It must not be a client: a handful of bytes is enough to see that a server is up.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// Returns whether the server's rootDSE has the attribute with the value.
pub(crate) fn root_dse_has(address: Ipv4Addr, port: u16, attribute: &str, value: &str) -> bool {
    let answer = ask(SocketAddr::from((address, port)), attribute).unwrap_or_default();
    let holds = |text: &str| answer.windows(text.len()).any(|window| window == text.as_bytes());
    holds(attribute) && holds(value)
}

fn ask(server: SocketAddr, attribute: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&search_request(attribute))?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    // The entry comes in one piece in practice; what follows it is the result, of which nothing is needed.
    let length = stream.read(&mut buffer)?;
    answer.extend_from_slice(&buffer[..length]);
    Ok(answer)
}

/// Encodes a base search of the rootDSE for one attribute (RFC 4511, section 4.5.1).
fn search_request(attribute: &str) -> Vec<u8> {
    let scope_to_types_only = [0x0a, 1, 0, 0x0a, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0];
    let mut search = element(0x04, b"");
    search.extend(scope_to_types_only);
    search.extend(element(0x87, b"objectClass"));
    search.extend(element(0x30, &element(0x04, attribute.as_bytes())));
    let mut message = vec![2, 1, 1];
    message.extend(element(0x63, &search));
    element(0x30, &message)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).ok().filter(|&length| length < 0x80);
    let mut bytes = vec![tag, length.expect("the question is shorter than 128 bytes")];
    bytes.extend_from_slice(content);
    bytes
}
