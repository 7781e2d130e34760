//! The only unsafe code of this room: a few calls into libpq, which is linked for diesel anyway.
//!
//! diesel can ask whether a notification has come, but not wait for one: it does not show the
//! connection's socket. So the connections that ring and listen are held here, by the same library
//! and thus with the same meaning of the URL. What is here blocks, unless it says that it does not.

use std::ffi::{CStr, CString, c_char, c_void};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use pq_sys::ExecStatusType::{PGRES_COMMAND_OK, PGRES_TUPLES_OK};

use super::error::{Error, Result};

/// One connection to Postgres, closed with the value.
pub struct Session(NonNull<pq_sys::PGconn>);

// SAFETY: libpq lets any thread use a connection as long as it is one at a time. Every function that
// touches it takes `&mut self`, and the pointer never leaves this file.
unsafe impl Send for Session {}

impl Session {
    pub fn connect(url: &str) -> Result<Session> {
        let url = c_string(url)?;
        // SAFETY: `url` ends with a zero byte and outlives the call.
        let made = unsafe { pq_sys::PQconnectdb(url.as_ptr()) };
        let mut session = match NonNull::new(made) {
            Some(pointer) => Session(pointer),
            None => return Err(Error::Unavailable("libpq has no memory".to_owned())),
        };
        // SAFETY: the connection is there until `session` is dropped, and `say_nothing` for ever.
        let status = unsafe {
            pq_sys::PQsetNoticeProcessor(
                session.0.as_ptr(),
                Some(say_nothing),
                std::ptr::null_mut(),
            );
            pq_sys::PQstatus(session.0.as_ptr())
        };
        match status {
            pq_sys::ConnStatusType::CONNECTION_OK => Ok(session),
            _ => Err(session.failed()),
        }
    }

    /// Runs a statement whose rows, if it has any, nobody needs.
    pub fn run(&mut self, sql: &str) -> Result<()> {
        let sql = c_string(sql)?;
        // SAFETY: the connection is there, and `sql` ends with a zero byte and outlives the call.
        let result = unsafe { pq_sys::PQexec(self.0.as_ptr(), sql.as_ptr()) };
        // SAFETY: both take what PQexec gives, a null pointer too, and it is not used afterwards.
        let status = unsafe {
            let status = pq_sys::PQresultStatus(result);
            pq_sys::PQclear(result);
            status
        };
        match status {
            PGRES_COMMAND_OK | PGRES_TUPLES_OK => Ok(()),
            _ => Err(self.failed()),
        }
    }

    /// A second handle of the connection's socket, to wait on until something arrives.
    pub fn socket(&mut self) -> Result<AsyncFd<OwnedFd>> {
        let unusable = |error: std::io::Error| Error::Unavailable(error.to_string());
        // SAFETY: the connection is there.
        let open = match unsafe { pq_sys::PQsocket(self.0.as_ptr()) } {
            -1 => return Err(self.failed()),
            open => open,
        };
        // SAFETY: libpq's handle is open at least until the next call of ours into it.
        let second = unsafe { BorrowedFd::borrow_raw(open) }.try_clone_to_owned();
        // SAFETY: the second handle is its owner's alone, stays the same, and is open until dropped.
        unsafe { AsyncFd::register_with_interest(second.map_err(unusable)?, Interest::READABLE) }
            .map_err(|refused| unusable(refused.into()))
    }

    /// Reads what has arrived. Does not block.
    pub fn take_in(&mut self) -> Result<()> {
        // SAFETY: the connection is there.
        match unsafe { pq_sys::PQconsumeInput(self.0.as_ptr()) } {
            1 => Ok(()),
            _ => Err(self.failed()),
        }
    }

    /// The text of the next notification among what was read. Does not block.
    pub fn notification(&mut self) -> Option<String> {
        // SAFETY: the connection is there.
        let said = NonNull::new(unsafe { pq_sys::PQnotifies(self.0.as_ptr()) })?;
        // SAFETY: it is ours until it is freed, which happens once and last; its text ends with a
        // zero byte and is copied before.
        unsafe {
            let text = CStr::from_ptr(said.as_ref().extra)
                .to_string_lossy()
                .into_owned();
            pq_sys::PQfreemem(said.as_ptr().cast());
            Some(text)
        }
    }

    /// What libpq says last went wrong.
    fn failed(&mut self) -> Error {
        // SAFETY: the connection is there; the text is its own and is copied at once.
        let text = unsafe { CStr::from_ptr(pq_sys::PQerrorMessage(self.0.as_ptr())) };
        Error::Unavailable(text.to_string_lossy().trim().to_owned())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: nobody uses the connection afterwards.
        unsafe { pq_sys::PQfinish(self.0.as_ptr()) }
    }
}

/// libpq would print to stderr what the server says unasked.
extern "C" fn say_nothing(_: *mut c_void, _: *const c_char) {}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::Internal("a zero byte in a text for libpq".to_owned()))
}
