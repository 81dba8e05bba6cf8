# The C types of marks.py: what these names hold there.
# cython: boundscheck=True, wraparound=False

cimport cython

cdef Py_ssize_t _PROBES

@cython.locals(mask=cython.ulonglong, block=cython.ulonglong, rest=cython.ulonglong, at=Py_ssize_t, end=Py_ssize_t, _=Py_ssize_t)
cpdef note(unsigned char[::1] bits, const unsigned long long[::1] words)

@cython.locals(
    mask=cython.ulonglong, block=cython.ulonglong, rest=cython.ulonglong, at=Py_ssize_t, end=Py_ssize_t, probes=Py_ssize_t,
    absent=list, doubtful=list)
cpdef sort_out(unsigned char[::1] bits, const unsigned long long[::1] words, list places)

@cython.locals(
    here=Py_ssize_t, there=Py_ssize_t, end=Py_ssize_t, end_of_run=Py_ssize_t, high=cython.ulonglong, low=cython.ulonglong)
cpdef strike_out(const unsigned long long[::1] wanted, unsigned char[::1] is_found, const unsigned long long[::1] run)
