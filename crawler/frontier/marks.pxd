# The C types of marks.py: what these names hold there, and how its functions are called.
# cython: boundscheck=True, wraparound=False

cimport cython

cdef Py_ssize_t _PROBES, _LEAST_BITS

@cython.final
cdef class Table:
    cdef int _bits
    cdef Py_ssize_t _slots
    cdef Py_ssize_t _taken
    cdef unsigned long long[::1] _words
    cdef unsigned char[::1] _tags

    cdef _set_up(self, int bits)

    @cython.locals(slot=Py_ssize_t)
    cdef Py_ssize_t _find(self, unsigned long long high, unsigned long long low) except -1

    cpdef int tag(self, const unsigned long long[::1] words, Py_ssize_t place) except -1

    cpdef put(self, const unsigned long long[::1] words, Py_ssize_t place, int tag)

    @cython.locals(slot=Py_ssize_t)
    cdef _put(self, unsigned long long high, unsigned long long low, int tag)

    @cython.locals(place=Py_ssize_t, added=list)
    cpdef list put_new(self, const unsigned long long[::1] words, list places, int tag)

    @cython.locals(place=Py_ssize_t, end=Py_ssize_t, absent=list)
    cpdef list lacking(self, const unsigned long long[::1] words)

    @cython.locals(first=Py_ssize_t, slot=Py_ssize_t, at=Py_ssize_t, own=int)
    cpdef drop(self, int tag)

    @cython.locals(words=cython.ulonglong[::1], tags=cython.uchar[::1], slots=Py_ssize_t, slot=Py_ssize_t)
    cdef _grow(self)

    @cython.locals(slot=Py_ssize_t, end=Py_ssize_t, at=Py_ssize_t)
    cpdef part(self, unsigned int number, int tag)

@cython.locals(at=Py_ssize_t, to=Py_ssize_t, high=cython.ulonglong, low=cython.ulonglong)
cdef _sort(unsigned long long[::1] words)

@cython.locals(mask=cython.ulonglong, block=cython.ulonglong, rest=cython.ulonglong, at=Py_ssize_t, end=Py_ssize_t, _=Py_ssize_t)
cpdef note(unsigned char[::1] bits, const unsigned long long[::1] words)

@cython.locals(
    mask=cython.ulonglong, block=cython.ulonglong, rest=cython.ulonglong, place=Py_ssize_t, probes=Py_ssize_t,
    absent=list, doubtful=list)
cpdef sort_out(unsigned char[::1] bits, const unsigned long long[::1] words, list places)

@cython.locals(
    here=Py_ssize_t, there=Py_ssize_t, end=Py_ssize_t, end_of_run=Py_ssize_t, high=cython.ulonglong, low=cython.ulonglong)
cpdef strike_out(const unsigned long long[::1] wanted, unsigned char[::1] is_found, const unsigned long long[::1] run)
