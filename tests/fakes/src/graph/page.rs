//! A page of rows on its way out, so that faults can still take rows and bend links; it knows no request.

/// Rows as JSON texts beside each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) context: String,
    pub(crate) count: Option<i64>,
    pub(crate) next: Option<String>,
    pub(crate) delta: Option<String>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Page {
    pub(crate) fn new(context: String) -> Self {
        Self { context, ..Self::default() }
    }

    /// Writes a row.
    pub(crate) fn row(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// Keeps some rows, each as often as this says.
    pub(crate) fn repeat(&mut self, mut times: impl FnMut(usize, &[u8]) -> usize) {
        let mut kept = Self::default();
        for (place, row) in self.rows().enumerate() {
            for _ in 0..times(place, row) {
                kept.row(|out| out.extend_from_slice(row));
            }
        }
        (self.bytes, self.ends) = (kept.bytes, kept.ends);
    }

    /// Changes each row's text.
    pub(crate) fn rewrite(&mut self, mut change: impl FnMut(&[u8]) -> Vec<u8>) {
        let mut changed = Self::default();
        for row in self.rows() {
            let row = change(row);
            changed.row(|out| out.extend_from_slice(&row));
        }
        (self.bytes, self.ends) = (changed.bytes, changed.ends);
    }

    pub(crate) fn into_json(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes.len() + self.ends.len() + 512);
        out.extend_from_slice(b"{\"@odata.context\":");
        text(&self.context, &mut out);
        if let Some(count) = self.count {
            out.extend_from_slice(format!(",\"@odata.count\":{count}").as_bytes());
        }
        if let Some(next) = &self.next {
            out.extend_from_slice(b",\"@odata.nextLink\":");
            text(next, &mut out);
        }
        if let Some(delta) = &self.delta {
            out.extend_from_slice(b",\"@odata.deltaLink\":");
            text(delta, &mut out);
        }
        out.extend_from_slice(b",\"value\":[");
        for (place, row) in self.rows().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            out.extend_from_slice(row);
        }
        out.extend_from_slice(b"]}");
        out
    }
}

/// Writes text as a JSON string.
pub(crate) fn text(text: &str, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}
