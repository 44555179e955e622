//! The same handler behind wiremock; it knows no directory.

use std::sync::Arc;

use wiremock::{Match, Mock, MockServer, Respond, ResponseTemplate};

use super::{Ending, Handler, Reply, Request};

/// A handler as wiremock's responder; cut connections become an empty 502, because wiremock cannot cut.
#[derive(Clone)]
pub struct Responder(Arc<dyn Handler>);

impl std::fmt::Debug for Responder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Responder")
    }
}

impl Responder {
    /// Wraps a handler.
    pub fn new(handler: Arc<dyn Handler>) -> Self {
        Self(handler)
    }

    /// Starts a wiremock server that gives every request to this handler; mocks with a higher priority may be added.
    pub async fn start(self) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(Any).respond_with(self).with_priority(200).mount(&server).await;
        server
    }
}

struct Any;

impl Match for Any {
    fn matches(&self, _: &wiremock::Request) -> bool {
        true
    }
}

impl Respond for Responder {
    fn respond(&self, request: &wiremock::Request) -> ResponseTemplate {
        let host = request.headers.get("host").and_then(|host| host.to_str().ok());
        let origin = host.map_or_else(|| request.url.origin().ascii_serialization(), |host| format!("http://{host}"));
        let reply = self.0.handle(&Request {
            method: request.method.clone(),
            path: request.url.path().to_owned(),
            query: request.url.query().unwrap_or_default().to_owned(),
            headers: request.headers.clone(),
            body: request.body.clone().into(),
            origin,
        });
        template(reply)
    }
}

fn template(reply: Reply) -> ResponseTemplate {
    let (status, body) = match reply.ending {
        Ending::Whole => (reply.status.as_u16(), reply.body),
        Ending::CutBefore | Ending::CutInside | Ending::Never => (502, hyper::body::Bytes::new()),
    };
    let kind = reply.headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let mut template = ResponseTemplate::new(status);
    for (name, value) in &reply.headers {
        template = template.append_header(name.clone(), value.clone());
    }
    if !body.is_empty() {
        template = template.set_body_raw(body.to_vec(), &kind);
    }
    template.set_delay(reply.delay)
}
