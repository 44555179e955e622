//! What is asked of Graph for reading: requests made by its SDK. It sends nothing.
