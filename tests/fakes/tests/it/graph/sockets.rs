//! The same tenant over real sockets, by the fake's own server and by wiremock; it knows no row.

use tenantry_fakes::graph::{Call, FakeGraph, Fault, On, Tenant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Asks over a socket of its own; returns whatever comes before the connection ends.
async fn ask(address: &str, path: &str) -> String {
    let authority = address.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&authority).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer dummy\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that was cut may end with an error as well.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

fn tenant() -> Tenant {
    let tenant = Tenant::new("tenant.example");
    tenant.accept_bearer("dummy");
    tenant.user("ann").create();
    tenant
}

#[tokio::test]
async fn the_own_server_answers_with_links_to_itself_and_cuts_on_request() {
    let server = FakeGraph::start(tenant()).await;
    let whole = ask(&server.url(), "/v1.0/users/delta").await;
    assert!(whole.starts_with("HTTP/1.1 200 OK") && whole.contains(&format!("{}/v1.0/users/delta?", server.url())));
    server.faults().on(On::call(Call::Users).nth(1), Fault::Cut);
    server.faults().on(On::call(Call::Users).nth(2), Fault::CutInside);
    assert_eq!(ask(&server.url(), "/v1.0/users").await, "");
    let half = ask(&server.url(), "/v1.0/users").await;
    assert!(half.contains("\"@odata.context\"") && !half.ends_with('}'));
    assert!(ask(&server.url(), "/v1.0/users").await.ends_with('}'));
    server.shutdown().await;
}

#[tokio::test]
async fn wiremock_serves_the_same_state() {
    let tenant = tenant();
    let server = tenant.responder().start().await;
    assert!(ask(&server.uri(), "/v1.0/users").await.contains("ann@tenant.example"));
    tenant.user("bob").create();
    assert!(ask(&server.uri(), "/v1.0/users?$select=id,userPrincipalName").await.contains("bob@tenant.example"));
}
