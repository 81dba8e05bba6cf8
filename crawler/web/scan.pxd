# The C types of scan.py: what these names hold there, and how its functions are called.
# cython: boundscheck=True, wraparound=False

cimport cython

cdef unsigned long long _A, _BASE, _FRAMESET, _IFRAME, _MATH, _NOEMBED, _NOFRAMES, _PLAINTEXT, _SCRIPT, _SELECT, _STYLE, _SVG
cdef unsigned long long _TEMPLATE, _TEXTAREA, _TITLE, _XMP, _HREF, _REL

cdef class Scanner:
    cdef readonly dict links
    cdef readonly object base
    cdef readonly object title
    cdef bytes _document
    cdef Py_ssize_t _size
    cdef Py_ssize_t _at
    cdef unsigned long long _name
    cdef Py_ssize_t _name_start
    cdef Py_ssize_t _name_end
    cdef Py_ssize_t _value_start
    cdef Py_ssize_t _value_end
    cdef bint _is_cut
    cdef bint _closes_itself
    cdef Py_ssize_t _comment_end

    @cython.locals(kind=int)
    cpdef run(self)

    @cython.locals(name=cython.ulonglong, length=Py_ssize_t)
    cdef _start_tag(self)

    cdef _end_tag(self)

    @cython.locals(href_start=Py_ssize_t, href_end=Py_ssize_t, rel_start=Py_ssize_t, rel_end=Py_ssize_t, href=bytes)
    cdef _link(self)

    @cython.locals(document=bytes, at=Py_ssize_t)
    cdef bytes _reference(self, Py_ssize_t start, Py_ssize_t end)

    @cython.locals(href_start=Py_ssize_t, href_end=Py_ssize_t)
    cdef _only_base(self)

    @cython.locals(start=Py_ssize_t, end=Py_ssize_t)
    cdef _only_title(self)

    @cython.locals(start=Py_ssize_t, end=Py_ssize_t, start_of_name=Py_ssize_t)
    cdef Py_ssize_t _text(self, unsigned long long name, Py_ssize_t length) except -1

    @cython.locals(name=bytes)
    cdef _choices(self)

    @cython.locals(inside=list, name=bytes, ended=bytes)
    cdef _drawing(self)

    @cython.locals(start=Py_ssize_t, name=bytes)
    cdef bytes _name_inside(self)

    @cython.locals(start=Py_ssize_t, end=Py_ssize_t, other=Py_ssize_t, document=bytes)
    cdef _declaration(self)

    cdef bint _to_markup(self) except -1

    @cython.locals(document=bytes, size=Py_ssize_t, at=Py_ssize_t)
    cdef _to_after(self, int byte)

    cdef _to_tag_end(self)

    @cython.locals(document=bytes, size=Py_ssize_t, at=Py_ssize_t, start=Py_ssize_t, byte=int, name=cython.ulonglong)
    cdef _read_name(self)

    cdef bint _is_named(self, unsigned long long name, Py_ssize_t length) noexcept

    @cython.locals(document=bytes, size=Py_ssize_t, at=Py_ssize_t, start=Py_ssize_t, byte=int, name=cython.ulonglong)
    cdef bint _attribute(self) except -1

    @cython.locals(document=bytes, size=Py_ssize_t, at=Py_ssize_t, quote=int)
    cdef _read_value(self)

cdef bint _is_letter(int byte) noexcept
cdef bint _is_space(int byte) noexcept
cdef int _lower(int byte) noexcept
cdef bint _holds_text(unsigned long long name, Py_ssize_t length) noexcept
cdef bint _is_doubtful(unsigned long long name, Py_ssize_t length) noexcept

@cython.locals(found=Py_ssize_t)
cdef Py_ssize_t _index(bytes document, bytes wanted, Py_ssize_t start, Py_ssize_t end) except -1
