/* What cuDNN and its frontend ask of a machine before they propose plans for a GPU that is described
   to them: that there is a driver, and which device is current. Nothing here runs anything. */

/* libcuda: libcudnn is linked to these, and must be able to load. */
enum { NO_DEVICE = 100 };
int cuGetErrorString(int error, const char **text) {
    (void)error;
    *text = "there is no device";
    return 0;
}
int cuModuleGetFunction(void) { return NO_DEVICE; }
int cuModuleLoadData(void) { return NO_DEVICE; }
int cuModuleUnload(void) { return NO_DEVICE; }
int cuTensorMapEncodeIm2col(void) { return NO_DEVICE; }
int cuTensorMapEncodeTiled(void) { return NO_DEVICE; }

/* libcudart: the frontend asks which device is current, and of which generation it is. */
int cudaGetDevice(int *device) {
    *device = 0;
    return 0;
}
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    enum { MULTIPROCESSORS = 16, MAJOR = 75, MINOR = 76, SHARED = 97 };
    (void)device;
    *value = attribute == MAJOR             ? 9
             : attribute == MULTIPROCESSORS ? 132
             : attribute == SHARED          ? 232448
                                            : 0;
    return 0;
}
int cudaRuntimeGetVersion(int *version) {
    *version = 13020;
    return 0;
}
const char *cudaGetErrorString(int error) {
    (void)error;
    return "there is no device";
}
